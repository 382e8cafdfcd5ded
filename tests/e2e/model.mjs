// A model on loopback that does what the message says, for agents that are to call something.
//
//   node tests/e2e/model.mjs
//
// It speaks OpenAI's chat completions. Of a message `call TOOL {…}` it makes a call of that tool, of
// a tool's result the text `RESULT …`, and of anything else the text `done`. Prints the port it
// listens at.

import http from "node:http";

const CALL = /call (\w+) (\{.*\})/;

function text(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

function delta(messages) {
  const last = messages.at(-1);
  if (last.role === "tool") return { content: `RESULT ${text(last.content)}` };
  const asked = CALL.exec(text(last.content));
  if (!asked) return { content: "done" };
  const [, name, args] = asked;
  return { tool_calls: [{ index: 0, id: `call_${Date.now()}`, type: "function", function: { name, arguments: args } }] };
}

function answer(asked) {
  const says = { role: "assistant", ...delta(asked.messages) };
  const finish_reason = says.tool_calls ? "tool_calls" : "stop";
  const head = { id: "chatcmpl-1", created: 0, model: asked.model };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  if (!asked.stream) {
    return JSON.stringify({ ...head, object: "chat.completion", choices: [{ index: 0, message: says, finish_reason }], usage });
  }
  const chunk = (choices, more) => `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`;
  return [
    chunk([{ index: 0, delta: says, finish_reason: null }]),
    chunk([{ index: 0, delta: {}, finish_reason }], { usage }),
    "data: [DONE]\n\n",
  ].join("");
}

const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (bytes) => (body += bytes));
  request.on("end", () => {
    const asked = JSON.parse(body);
    response.setHeader("content-type", asked.stream ? "text/event-stream" : "application/json");
    response.end(answer(asked));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
