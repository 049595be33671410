#!/usr/bin/env bash
# One question, the answer as it comes. Needs bash and curl.
set -euo pipefail
url=${GATEWAY_URL:-http://127.0.0.1:8000}
question=${1:?usage: chat.sh QUESTION}

# /v1/generate takes a plain prompt; printf and sed make it a JSON string.
quoted=$(printf '%s' "$question" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' -e '$!s/$/\\n/' | tr -d '\n')

finished=no
while IFS= read -r line; do
    case $line in
    'data: [DONE]') finished=yes ;;
    'data: {"error"'* | '{"error"'*) printf '%s\n' "${line#data: }" >&2 ;;
    'data: {"text":"'*)
        text=${line#'data: {"text":"'}
        text=${text%'"}'}
        text=${text//'\"'/'"'}
        printf '%b' "$text" # understands \n, \t and \\
        ;;
    esac
done < <(curl -sSN "$url/v1/generate" -H 'Content-Type: application/json' \
    -d "{\"prompt\":\"$quoted\",\"stream\":true}"; echo)
echo
[ $finished = yes ]
