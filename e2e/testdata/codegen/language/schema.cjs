// Says which of many configurations are valid by the generated schema. Its expressions are JavaScript's here.
const { readFileSync } = require("node:fs");
const Ajv = require("ajv");

const schema = JSON.parse(readFileSync("language.schema.json", "utf8"));
delete schema.$schema; // of a later draft, of which it has nothing else
const validate = new Ajv({ unknownFormats: "ignore", format: false }).compile(schema);
const cases = JSON.parse(readFileSync(0, "utf8"));
const instance = (one) => {
  try {
    return { environment: one.env, files: { "/etc/language/all.json": JSON.parse(one.file) } };
  } catch {
    return undefined;
  }
};
console.log(JSON.stringify(cases.map((one) => validate(instance(one)))));
