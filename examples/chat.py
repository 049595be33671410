#!/usr/bin/env python3
"""One question, the answer as it comes. Python's standard library only."""
import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8000") + "/v1/chat/completions"


def ask(question):
    """Yields pieces of the answer; raises when it does not end well."""
    body = json.dumps({"messages": [{"role": "user", "content": question}], "stream": True})
    request = urllib.request.Request(URL, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        for line in response:
            if not line.startswith(b"data: "):
                continue
            data = line[6:].strip()
            if data == b"[DONE]":
                return
            event = json.loads(data)
            if "error" in event:
                raise RuntimeError(event["error"]["message"])
            for choice in event["choices"]:
                yield choice["delta"].get("content") or ""
    raise RuntimeError("the answer broke off")


def main():
    if len(sys.argv) < 2:
        print("usage: chat.py QUESTION", file=sys.stderr)
        return 2
    try:
        for piece in ask(sys.argv[1]):
            print(piece, end="", flush=True)
    except urllib.error.HTTPError as error:
        print(json.load(error)["error"]["message"], file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
