// Uploads a file with tus-js-client: node upload.js ENDPOINT FILE OPTIONS(JSON). Prints the requests that it made.
const fs = require("node:fs");
const tus = require("tus-js-client");

const [endpoint, path, options] = process.argv.slice(2);
const requests = [];
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint,
  uploadSize: fs.statSync(path).size,
  retryDelays: [50, 100, 200, 400, 800, 1600, 3200],
  onAfterResponse: (request, response) =>
    requests.push([request.getMethod(), response.getStatus(), response.getHeader("Stillhouse-File")]),
  onSuccess: () => {
    console.log(JSON.stringify({ url: upload.url, requests }));
    process.exit(0); // node waits for a connection whose answer came before its request was sent
  },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  ...JSON.parse(options),
});
upload.start();
