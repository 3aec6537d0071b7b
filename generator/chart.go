package generator

// File is one file of a chart: its slash-separated path below the chart's
// folder and its content.
type File struct {
	Path string
	Data []byte
}

// Chart is a complete Helm chart in memory: Chart.yaml, values, templates and
// vendored subcharts under charts/. Files are sorted by path and no path
// stands twice.
type Chart struct {
	Name    string
	Version string
	Files   []File
}
