// A program that reads its configuration through generated code, and says what it has read.
import { inspect } from "node:util";
import { type Config, ConfigError, load, type Secret } from "./config.js";

function say(c: Config): void {
  const app = c.files.app;
  const values: Record<string, unknown> = {
    CPUS: c.cpus, EMPTY: c.empty, FEATURE_X: c.featureX, GREETING: c.greeting, HOME_URL: c.homeUrl, INT: c.int,
    LISTEN: c.listen, LOG_LEVEL: c.logLevel, METRICS_URL: c.metricsUrl, POD_IP: c.podIp, PORT: c.port,
    QUOTED: c.quoted, RATIO: c.ratio, TIMEOUT: c.timeout, VERSION: c.version, WORKERS: c.workers,
    ZIP: c.zip, class: c.class, "user.name": c.userName, user_name: c.userName2,
    DEBUG_DIR: c.debugDir === undefined,

    "app.server.port": app.server.port + 1, "app.server.timeout": app.server.timeout,
    "app.name": app.name, "app.switch": app.switch, "app.weird": app.weirdKey + app.weirdKey2,
    "app.class": app.class, "app.homes": app.homes.length, "app.home": app.homes[1]?.url.hostname,
    "app.weight": app.homes[1]?.weight, "app.note": app.homes[0]?.note === undefined, "app.tag": app.tags[1],
    "limits.burst": c.files.limits.burst, "limits.day": c.files.limits.per.user.day, motd: c.files.motdTxt,
    "tool.owner.age": c.files.tool.owner.age, "tool.rule": c.files.tool.rule[0]?.name, logo: c.files.logoBin.length,
    "broker.retries": c.files.broker.retries, folder: c.folders.scratch, port: c.ports.http + c.ports.admin,
  };
  for (const [name, value] of Object.entries(values)) {
    console.log(`${name}=${JSON.stringify(String(value))}`);
  }
  const secrets: Record<string, Secret> = {
    LICENSE: c.license, SIGNING_KEY: c.signingKey, POSTGRESQL_URL: c.postgresqlUrl, RABBITMQ_URL: c.rabbitmqUrl,
    "tls.key": c.files.tlsKey, "broker.password": c.files.broker.password,
  };
  for (const [name, secret] of Object.entries(secrets)) {
    console.log(`reveal ${name}=${JSON.stringify(secret.reveal())}`);
    console.log(secret, String(secret), `${secret}`, [secret], JSON.stringify({ secret }), Object.entries(secret));
    console.log("%s %o %O %j %d", secret, secret, secret, secret, secret);
    console.log(inspect(secret, { showHidden: true, depth: 9, customInspect: false }), structuredClone(secret));
  }
  console.log(c, JSON.stringify(c), inspect(c, { depth: 9, showHidden: true }));
}

// JSON is YAML, and stands for TOML as well: neither has a parser in Node.
const parse = (text: string): unknown => JSON.parse(text);

try {
  say(load(parse, parse));
} catch (error) {
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  console.error(error, String(error), JSON.stringify(error));
  for (const problem of error.problems) {
    console.log(problem);
  }
  process.exitCode = 3;
}
