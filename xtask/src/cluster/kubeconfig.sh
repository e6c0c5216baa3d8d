# Makes the certificates in the current directory and prints the kubeconfig of the client.
umask 077

# certificate NAME KIND SUBJECT [OPTION…]
certificate() {
    name=$1 kind=$2 subject=$3
    shift 3
    openssl req -x509 -config openssl.cnf -extensions "$kind" -subj "$subject" -days 2 -nodes "$@" \
        -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout "$name.key" -out "$name.crt" 2>openssl.log ||
        { cat openssl.log >&2; exit 1; }
}
certificate ca authority /CN=management-cluster
certificate server server /CN=kube-apiserver -CA ca.crt -CAkey ca.key
certificate client client /O=system:masters/CN=admin -CA ca.crt -CAkey ca.key

cat <<YAML
apiVersion: v1
kind: Config
current-context: admin@management
contexts:
  - name: admin@management
    context: {cluster: management, user: admin}
clusters:
  - name: management
    cluster:
      server: https://127.0.0.1:6443
      certificate-authority-data: $(base64 --wrap=0 ca.crt)
users:
  - name: admin
    user:
      client-certificate-data: $(base64 --wrap=0 client.crt)
      client-key-data: $(base64 --wrap=0 client.key)
YAML
