// A real authorisation server for the tests: code with PKCE, device flow, refresh tokens that are exchanged at each use.
// node provider.mjs NODE_MODULES [KEY CERTIFICATE]; says its address, ends with its standard input. POST /revoke-all withdraws everything.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const [modules, key, cert] = process.argv.slice(2);
const { default: Provider } = await import(`${modules}/oidc-provider/lib/index.js`);
const server = key ? https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }) : http.createServer();
server.listen(0, "127.0.0.1", () => {
  const port = server.address().port;
  const issuer = key ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  const grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
  const client = { application_type: "native", redirect_uris: ["http://127.0.0.1/"], grant_types: grants };
  const revoked = new Set();
  const provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: "public", token_endpoint_auth_method: "none" },
      { ...client, client_id: "confidential", client_secret: "s3cret/+&client", token_endpoint_auth_method: "client_secret_post" },
    ],
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    pkce: { required: () => true },
    scopes: ["openid", "offline_access", "mail"],
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, DeviceCode: 600, RefreshToken: 86400, Grant: 86400, Session: 3600, Interaction: 600, AuthorizationCode: 60, IdToken: 3600 },
    findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    loadExistingGrant: undefined,
    cookies: { keys: ["for tests"] },
    conformIdTokenClaims: true,
    renderError: async (ctx, out) => { ctx.type = "json"; ctx.body = out; },
  });
  const grantIds = new Set();
  for (const event of ["grant.success", "authorization.success"]) {
    provider.on(event, (ctx) => ctx.oidc.entities.Grant && grantIds.add(ctx.oidc.entities.Grant.jti));
  }
  provider.on("server_error", (_, error) => console.error(error));
  const callback = provider.callback();
  server.on("request", async (request, response) => {
    if (request.url === "/revoke-all") {
      for (const id of grantIds) {
        await provider.Grant.adapter.destroy(id);
        for (const model of ["AccessToken", "RefreshToken", "AuthorizationCode"]) await provider[model].revokeByGrantId(id);
      }
      response.end("done\n");
    } else callback(request, response);
  });
  console.log(issuer);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
