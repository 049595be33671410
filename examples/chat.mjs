// One question, the answer as it comes. Node.js 18 or newer, no packages.
const url = `${process.env.GATEWAY_URL ?? 'http://127.0.0.1:8000'}/v1/chat/completions`;
const question = process.argv[2];

/** Pieces of the answer; throws when it does not end well. */
async function* ask(text) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: text }], stream: true }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let buffer = '';
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    buffer += bytes;
    const lines = buffer.split('\n');
    buffer = lines.pop(); // not whole yet
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      if (line === 'data: [DONE]') return;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      for (const choice of event.choices) yield choice.delta.content ?? '';
    }
  }
  throw new Error('the answer broke off');
}

if (!question) {
  console.error('usage: node chat.mjs QUESTION');
  process.exit(2);
}
try {
  for await (const piece of ask(question)) process.stdout.write(piece);
  process.stdout.write('\n');
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
