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

// Of what came since it last spoke: some put more of their own behind the message.
function says({ messages, tools }) {
  const since = messages.slice(messages.findLastIndex((message) => message.role === "assistant") + 1);
  const result = since.find((message) => message.role === "tool");
  if (result) return { content: `RESULT ${text(result.content)}` };
  const asked = since.map((message) => CALL.exec(text(message.content))).find(Boolean);
  if (!asked) return { content: "done" };
  const [, name, args] = asked;
  return { tool_calls: [{ index: 0, id: `call_${Date.now()}`, type: "function", function: called(tools, name, args) }] };
}

// Where there are many tools, most are reached through one that names them.
function called(tools, name, args) {
  const has = (tool) => (tools ?? []).some((one) => one.function.name === tool);
  if (has(name) || !has("tool_call")) return { name, arguments: args };
  return { name: "tool_call", arguments: JSON.stringify({ id: name, args: JSON.parse(args) }) };
}

function answer(asked) {
  const message = { role: "assistant", ...says(asked) };
  const finish_reason = message.tool_calls ? "tool_calls" : "stop";
  const head = { id: "chatcmpl-1", created: 0, model: asked.model };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  if (!asked.stream) {
    return JSON.stringify({ ...head, object: "chat.completion", choices: [{ index: 0, message, finish_reason }], usage });
  }
  const chunk = (choices, more) => `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`;
  return [
    chunk([{ index: 0, delta: message, finish_reason: null }]),
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
