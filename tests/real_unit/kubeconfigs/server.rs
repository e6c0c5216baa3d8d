//! The cluster: its server, and how it is reached.

use super::shapes::{server, server_and, with};
use super::{Case, table};

table! {
    Every  "a server by name" => server("https://localhost:6443");
    Every  "a server by IPv6 address" => server("'https://[::1]:6443'");
    Every  "a server by loopback address" => server("https://127.0.0.1:6443");
    Every  "a server with a slash at its end" => server("https://198.51.100.1:6443/");
    Every  "a server with a path" => server("https://198.51.100.1:6443/k8s/clusters/c-m-x7");
    Every  "a server with a user name and password" => server("https://u:p@198.51.100.1:6443");
    Every  "a server with a user name" => server("https://u@198.51.100.1:6443/");
    Nobody "no server" => with("    server: https://198.51.100.1:6443\n", "");
    Nobody "an empty server" => server("\"\"");
    Nobody "a server without https, by address" => server("198.51.100.1:6443");
    Nobody "a server of http" => server("http://198.51.100.1:6443");
    Nobody "a server without host" => server("https://");
    Nobody "a server with a port too high" => server("https://127.0.0.1:65536");
    Nobody "a server with a word for a port" => server("https://127.0.0.1:port");
    Nobody "a server with a blank behind it" => server("\"https://198.51.100.1:6443 \"");
    Nobody "a server with a blank before it" => server("\" https://198.51.100.1:6443\"");
    Nobody "a server with a newline behind it" => server("|\n      https://198.51.100.1:6443");
    Nobody "a server with a query" => server("https://198.51.100.1:6443?a=b");
    Nobody "insecure beside a CA" => server_and("insecure-skip-tls-verify: true");
    Nobody "insecure in quotes" => server_and("insecure-skip-tls-verify: \"false\"");
    Every  "insecure false" => server_and("insecure-skip-tls-verify: false");
    Nobody "a proxy without http" => server_and("proxy-url: 127.0.0.1:3128");
    Every  "a tls-server-name that is not needed" => server_and("tls-server-name: localhost");
}
