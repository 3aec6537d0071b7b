// Package schemas holds kai's file formats: the built-in types in the type
// language, and the JSON Schemas that editors complete and check with.
package schemas

import "embed"

// FS holds types.yaml, the built-in types of descriptors, values.yaml, the
// shape of the values that a generated chart has, and the JSON Schemas.
//
//go:embed *.yaml
var FS embed.FS
