package render

import "context"

// Printed gives what the templates of the chart print, by their names as a manifest's
// source has them, be it YAML or not. Its errors are those of Render.
func (c *Chart) Printed(ctx context.Context, opts Options) (map[string]string, error) {
	files, _, err := c.render(ctx, opts, false)
	return files, err
}
