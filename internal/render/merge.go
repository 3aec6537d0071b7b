package render

import (
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// merged lets the values choose the dependencies of own and gives those that its
// templates see, as Helm's ProcessDependenciesWithMerge and CoalesceValues do
// one after the other, without their copies of copies. It gives up where a dependency has conditions, tags, another name or values to
// import, and where Helm would warn; but for the order of the dependencies, own is
// as it was then.
func (l *Library) merged(own *chart.Chart, user map[string]any) (map[string]any, bool) {
	enabled, ok := l.allEnabled(own)
	if !ok {
		return nil, false
	}
	for _, sub := range enabled {
		// Helm refuses a null there, unless the chart has values for the subchart.
		if v, ok := user[sub.Name()]; ok && v == nil {
			return nil, false
		}
	}
	own.SetDependencies(enabled...)
	given, ok := copied(user)
	if !ok {
		return nil, false
	}
	defaults, ok := withSubcharts(own)
	if !ok {
		return nil, false
	}
	seen, ok := copied(defaults)
	if !ok {
		return nil, false
	}
	values := given.(map[string]any)
	if values == nil {
		values = map[string]any{}
	}
	m := merger{}
	m.over(own, values, seen.(map[string]any), false)
	m.subcharts(own, values, false)
	if m.odd {
		return nil, false
	}
	enable(own, defaults)
	return values, true
}

// withSubcharts gives a chart's own values with those of its subcharts in them,
// which Helm makes the chart's.
func withSubcharts(c *chart.Chart) (map[string]any, bool) {
	own, ok := copied(c.Values)
	if !ok {
		return nil, false
	}
	defaults := own.(map[string]any)
	if c.Metadata.Dependencies == nil {
		return defaults, true
	}
	values := map[string]any{}
	m := merger{}
	m.over(c, values, defaults, true)
	m.subcharts(c, values, true)
	return values, !m.odd
}

// enable leaves a chart as Helm does whose dependencies are all enabled.
func enable(c *chart.Chart, values map[string]any) {
	if c.Metadata.Dependencies == nil {
		return
	}
	for _, d := range c.Metadata.Dependencies {
		d.Enabled = true
	}
	c.Values = values
}

// allEnabled gives the subcharts in the order of Chart.yaml, where each stands in
// it once, and nothing chooses among them.
func (l *Library) allEnabled(c *chart.Chart) ([]*chart.Chart, bool) {
	if len(c.Metadata.Dependencies) != len(c.Dependencies()) {
		return nil, false
	}
	subcharts := map[string]*chart.Chart{}
	for _, sub := range c.Dependencies() {
		if sub.Metadata.Dependencies != nil || len(sub.Dependencies()) > 0 {
			return nil, false
		}
		subcharts[sub.Name()] = sub
	}
	var out []*chart.Chart
	for _, d := range c.Metadata.Dependencies {
		if d == nil || d.Condition != "" || d.Alias != "" || len(d.Tags) > 0 || len(d.ImportValues) > 0 {
			return nil, false
		}
		sub := subcharts[d.Name]
		if sub == nil || !l.compatible(d.Version, sub.Metadata.Version) {
			return nil, false
		}
		delete(subcharts, d.Name)
		out = append(out, sub)
	}
	return out, true
}

// compatible is Helm's IsCompatibleRange, which reads both versions each time.
func (l *Library) compatible(constraint, version string) bool {
	key := [2]string{constraint, version}
	if known, ok := l.versions.Load(key); ok {
		return known.(bool)
	}
	compatible := chartutil.IsCompatibleRange(constraint, version)
	l.versions.Store(key, compatible)
	return compatible
}

// copied gives a copy of what YAML and JSON are made of; it knows no other types.
func copied(v any) (any, bool) { return copyOf(v, 0) }

func copyOf(v any, depth int) (any, bool) {
	switch v := v.(type) {
	case nil, bool, int, int64, float64, string:
		return v, true
	case map[string]any:
		if v == nil || depth > maxNesting {
			return v, v == nil
		}
		out := make(map[string]any, len(v))
		for key, item := range v {
			c, ok := copyOf(item, depth+1)
			if !ok {
				return nil, false
			}
			out[key] = c
		}
		return out, true
	case []any:
		if v == nil || depth > maxNesting {
			return v, v == nil
		}
		out := make([]any, len(v))
		for i, item := range v {
			c, ok := copyOf(item, depth+1)
			if !ok {
				return nil, false
			}
			out[i] = c
		}
		return out, true
	}
	return nil, false
}

// merger lays values over others by Helm's rules. It is odd where Helm would warn
// or fail.
type merger struct{ odd bool }

// globals is the key of the values that all subcharts see.
const globals = chartutil.GlobalKey

// subcharts lays a chart's values over those of its subcharts, which become part of
// them.
func (m *merger) subcharts(c *chart.Chart, values map[string]any, keepNull bool) {
	for _, sub := range c.Dependencies() {
		name := sub.Name()
		if _, ok := values[name]; !ok {
			values[name] = map[string]any{}
		}
		inner, ok := values[name].(map[string]any)
		defaults, copyable := copied(sub.Values)
		if !ok || inner == nil || !copyable {
			m.odd = true
			return
		}
		m.globals(inner, values)
		m.over(sub, inner, defaults.(map[string]any), keepNull)
	}
}

// globals hands a chart's global values down to a subchart's.
func (m *merger) globals(inner, outer map[string]any) {
	mine, others := m.table(inner, globals), m.table(outer, globals)
	for key, v := range others {
		if table, ok := v.(map[string]any); ok {
			// Tables are merged key by key; there are none in what kai makes.
			if _, ok := mine[key]; ok || table == nil {
				m.odd = true
				return
			}
			own := make(map[string]any, len(table))
			for k, v := range table {
				own[k] = v
			}
			mine[key] = own
			continue
		}
		if _, ok := mine[key].(map[string]any); ok {
			m.odd = true
			return
		}
		mine[key] = v
	}
	inner[globals] = mine
}

// table gives the map under a key, or a new one where there is no key.
func (m *merger) table(of map[string]any, key string) map[string]any {
	v, ok := of[key]
	if !ok {
		return map[string]any{}
	}
	table, ok := v.(map[string]any)
	if !ok || table == nil {
		m.odd = true
		return map[string]any{}
	}
	return table
}

// over lays values over a chart's defaults, which may be changed.
func (m *merger) over(c *chart.Chart, values, defaults map[string]any, keepNull bool) {
	for key, low := range defaults {
		high, ok := values[key]
		switch {
		case !ok:
			values[key] = low
		case high == nil:
			if !keepNull {
				delete(values, key)
			}
		default:
			table, ok := high.(map[string]any)
			if !ok {
				continue
			}
			below, ok := low.(map[string]any)
			if !ok {
				m.odd = m.odd || low != nil
				continue
			}
			m.tables(table, below, keepNull || isSubchart(c, key))
		}
	}
}

func isSubchart(c *chart.Chart, key string) bool {
	for _, sub := range c.Dependencies() {
		if sub.Name() == key {
			return true
		}
	}
	return false
}

// tables lays one table over another. A null takes away what is below it, and
// stays where there is nothing.
func (m *merger) tables(high, low map[string]any, keepNull bool) {
	if high == nil || low == nil {
		m.odd = true
		return
	}
	for key, below := range low {
		above, ok := high[key]
		if !ok {
			high[key] = below
			continue
		}
		if above == nil {
			if !keepNull && below != nil {
				delete(high, key)
			}
			continue
		}
		table, ok := above.(map[string]any)
		under, both := below.(map[string]any)
		switch {
		case ok && both:
			m.tables(table, under, keepNull)
		case ok != both && below != nil:
			m.odd = true
		}
	}
}
