package graph

import (
	_ "embed"
	"encoding/json"
	"io"
)

// Schema describes the format json.
//
//go:embed graph.schema.json
var Schema []byte

// writeJSON prints graphs as a list, for programs; the same graphs give the same
// bytes. It fails where w does.
func writeJSON(w io.Writer, graphs []*Graph) error {
	type edge struct {
		From string `json:"from"`
		To   string `json:"to"`
		Edge
	}
	type graph struct {
		Graph
		Edges []edge `json:"edges"`
	}
	out := make([]graph, len(graphs))
	for i, g := range graphs {
		out[i] = graph{Graph: *g, Edges: make([]edge, len(g.Edges))}
		for j, e := range g.Edges {
			out[i].Edges[j] = edge{g.Nodes[e.From].Name, g.Nodes[e.To].Name, e}
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}
