

# The end of the program, after python.py and proof.py: answers the question that is asked.
QUESTIONS = {
    question.__name__: question for question in (where, driver, verify, inventory, client, reach, clusters, proof)
}
# Imported modules may print; the answer is the last line, on the real stdout.
print(json.dumps(QUESTIONS[sys.argv[1]](*sys.argv[2:])))
