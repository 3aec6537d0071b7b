# A program that reads its configuration through generated code, and says what it has read.
import copy
import dataclasses
import json
import logging
import pickle
import sys

import config

try:
    # JSON is YAML, and stands for TOML as well: Python 3.9 has a parser of neither.
    c = config.load(json.loads, json.loads)
except config.ConfigError as error:
    print(error, repr(error), error.args, file=sys.stderr)
    for problem in error.problems:
        print(problem)
    sys.exit(3)

app = c.files.app
values = {
    "CPUS": c.cpus, "EMPTY": c.empty, "FEATURE_X": c.feature_x, "GREETING": c.greeting, "HOME_URL": c.home_url.geturl(),
    "INT": c.int_, "LISTEN": c.listen, "LOG_LEVEL": c.log_level, "METRICS_URL": c.metrics_url and c.metrics_url.geturl(),
    "POD_IP": c.pod_ip, "PORT": c.port, "QUOTED": c.quoted, "RATIO": c.ratio, "TIMEOUT": int(c.timeout.total_seconds() * 1000),
    "VERSION": c.version, "WORKERS": c.workers, "ZIP": c.zip, "class": c.class_, "user.name": c.user_name,
    "user_name": c.user_name2, "DEBUG_DIR": c.debug_dir is None,
    "app.server.port": app.server.port + 1, "app.server.timeout": int(app.server.timeout.total_seconds() * 1000),
    "app.name": app.name, "app.switch": app.switch, "app.weird": app.weird_key + app.weird_key2,
    "app.class": app.class_, "app.homes": len(app.homes), "app.home": app.homes[1].url.hostname,
    "app.weight": app.homes[1].weight, "app.note": app.homes[0].note is None, "app.tag": app.tags[1],
    "limits.burst": c.files.limits.burst, "limits.day": c.files.limits.per.user.day, "motd": c.files.motd_txt,
    "tool.owner.age": c.files.tool.owner.age, "tool.rule": c.files.tool.rule[0].name, "logo": len(c.files.logo_bin),
    "broker.retries": c.files.broker.retries, "folder": c.folders.scratch, "port": c.ports.http + c.ports.admin,
}
for name, value in values.items():
    text = str(value).lower() if isinstance(value, bool) else str(value)
    print(f"{name}={json.dumps(text)}")

for name, secret in {
    "LICENSE": c.license, "SIGNING_KEY": c.signing_key, "POSTGRESQL_URL": c.postgresql_url, "RABBITMQ_URL": c.rabbitmq_url,
    "tls.key": c.files.tls_key, "broker.password": c.files.broker.password,
}.items():
    print(f"reveal {name}={json.dumps(secret.reveal())}")
    print(secret, repr(secret), [secret], f"{secret} {secret!r} {secret:>40}", "%s %r" % (secret, secret), copy.deepcopy(secret))
    for dump in (pickle.dumps, json.dumps, vars):
        try:
            print(dump(secret))
            sys.exit("a secret was dumped")
        except TypeError:
            pass

print(c, repr(c), dataclasses.asdict(c))
logging.basicConfig(stream=sys.stdout)
logging.error("%s %r", c, c.signing_key)
