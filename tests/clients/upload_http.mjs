// Node's http, which streams: no length is known, so the body is chunked.
import { createReadStream, readFileSync } from "node:fs";
import { request } from "node:http";

const [how, address, token, path, extended, namePath] = process.argv.slice(2);
const name = readFileSync(namePath, "utf8");
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "image/jpeg" };
if (how === "put") headers["Content-Disposition"] = `attachment; filename*=${extended}`;
else headers["Content-Type"] = "multipart/form-data; boundary=edge";
const sending = request(address, { method: how === "put" ? "PUT" : "POST", headers }, async (answer) => {
  let text = "";
  for await (const each of answer.setEncoding("utf8")) text += each;
  console.log(answer.statusCode);
  console.log(text);
});
if (how === "post")
  sending.write(`--edge\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: image/jpeg\r\n\r\n`);
const file = createReadStream(path);
file.on("end", () => sending.end(how === "post" ? "\r\n--edge--\r\n" : ""));
file.pipe(sending, { end: false });
