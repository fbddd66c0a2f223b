from r1cli.problem import problem_hash


def test_problem_hash_is_of_the_prompt():
    message = {"role": "user", "content": "1+1"}
    assert problem_hash([message]) == problem_hash([dict(reversed(message.items()))])
    assert problem_hash("1+1") != problem_hash("1+2")
