// Node's fetch and FormData.
import { readFileSync } from "node:fs";

const [how, address, token, path, extended, namePath] = process.argv.slice(2);
const name = readFileSync(namePath, "utf8");
const headers = { Authorization: `Bearer ${token}` };
let options;
if (how === "put") {
  headers["Content-Type"] = "image/jpeg";
  headers["Content-Disposition"] = `attachment; filename*=${extended}`;
  options = { method: "PUT", headers, body: readFileSync(path) };
} else {
  const form = new FormData();
  form.append("file", new Blob([readFileSync(path)], { type: "image/jpeg" }), name);
  options = { method: "POST", headers, body: form };
}
const answer = await fetch(address, options);
console.log(answer.status);
console.log(await answer.text());
