package importer

import (
	"encoding/base64"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// server is a friend of the library as sources have it.
type server struct {
	friend string
	images []string // last parts of the repository
	// by are variables, or arguments, that say a password, a user, a database.
	password, user, database []string
	// open is what the friend's file says where the source has no password.
	open *source.Value
	// keys of the friend's credentials, and whether its database is its own matter.
	secret, username string
	hasDatabase      bool
	// root is who has a password of its own beside that of the user, rootSecret.
	root, rootSecret string
}

func null() *source.Value { return &source.Value{Kind: source.Null} }

// unlocked is what takes the password away from a friend of the library's.
func unlocked(values ...string) *source.Value {
	out := mapOf(entry("credentials", null()), entry("env", null()))
	v := source.NewMap(source.Origin{})
	for _, key := range values {
		v.Set(key, null())
	}
	setIn(out, "values", v)
	return out
}

// servers are the library's friends that an image tells.
var servers = []server{
	{friend: "postgresql", images: []string{"postgres", "postgresql", "postgis"}, password: []string{"POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"}, user: []string{"POSTGRES_USER", "POSTGRESQL_USERNAME"}, database: []string{"POSTGRES_DB", "POSTGRESQL_DATABASE"}, secret: "password", username: "username", hasDatabase: true},
	{friend: "mysql", images: []string{"mysql", "mariadb", "percona"}, password: []string{"MYSQL_PASSWORD", "MARIADB_PASSWORD", "MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"}, user: []string{"MYSQL_USER", "MARIADB_USER"}, database: []string{"MYSQL_DATABASE", "MARIADB_DATABASE"}, secret: "password", username: "username", hasDatabase: true, root: "root", rootSecret: "rootPassword"},
	{friend: "mongodb", images: []string{"mongo", "mongodb"}, password: []string{"MONGO_INITDB_ROOT_PASSWORD", "MONGODB_ROOT_PASSWORD"}, user: []string{"MONGO_INITDB_ROOT_USERNAME"}, database: []string{"MONGO_INITDB_DATABASE"}, open: unlocked("env"), secret: "password", username: "username", hasDatabase: true},
	{friend: "redis", images: []string{"redis", "redis-stack-server"}, password: []string{"REDIS_PASSWORD", "--requirepass"}, open: unlocked("args", "env"), secret: "password", username: "username"},
	{friend: "valkey", images: []string{"valkey"}, password: []string{"VALKEY_PASSWORD", "--requirepass"}, open: unlocked("args", "env"), secret: "password", username: "username"},
	{friend: "rabbitmq", images: []string{"rabbitmq"}, password: []string{"RABBITMQ_DEFAULT_PASS", "RABBITMQ_PASSWORD"}, user: []string{"RABBITMQ_DEFAULT_USER", "RABBITMQ_USERNAME"}, open: unlocked("env"), secret: "password", username: "username"},
	{friend: "nats", images: []string{"nats", "nats-streaming"}, password: []string{"--pass", "--auth"}, open: nil, secret: "password", username: "username"},
	{friend: "kafka", images: []string{"kafka", "cp-kafka", "kafka-native"}, open: nil, secret: "password", username: "username"},
	{friend: "opensearch", images: []string{"opensearch", "elasticsearch"}},
	{friend: "minio", images: []string{"minio"}, password: []string{"MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY"}, user: []string{"MINIO_ROOT_USER", "MINIO_ACCESS_KEY"}, secret: "secretKey", username: "accessKey"},
}

// recognised is a workload that is a server of the library's.
type recognised struct {
	*server
	locked     bool   // the source sets a password
	password   string // in clear, or as secret:NAME/KEY
	ofRoot     string // the password of root, where it is another or the only one
	user, name string // of the database
	settled    bool   // its user and its database are known
}

// useOf is a service that a workload talks to.
type useOf struct {
	to     *work
	speaks bool // a variable or an argument of its own refers to it
	guess  bool // nothing but the names says so
}

// serverOf gives the server that an image is, or nil.
func serverOf(image *source.Value) *server {
	name := path.Base(image.Get("repository").Str())
	for i := range servers {
		if slices.Contains(servers[i].images, name) {
			return &servers[i]
		}
	}
	return nil
}

// recognise finds the workloads that are servers of the library's: one image, no
// other container, a Service.
func (c *cluster) recognise() {
	for _, w := range c.works {
		if w.primary == nil || w.is("Job", "CronJob", "DaemonSet") {
			continue
		}
		image := imageOf(w.main.Get("image").Str())
		replicas, several := w.spec().Get("replicas").Int()
		s := serverOf(image)
		if s == nil || several && replicas > 1 || len(w.pod.Get("containers").ItemsOrNone()) > 1 {
			continue
		}
		r := &recognised{server: s}
		for _, v := range w.main.Get("env").ItemsOrNone() {
			name := v.Get("name").Str()
			value := w.literal(v)
			if s.root != "" && strings.Contains(name, "ROOT_PASSWORD") && slices.Contains(s.password, name) {
				r.ofRoot = value
			}
			switch {
			case slices.Contains(s.password, name) && (r.password == "" || !strings.Contains(name, "ROOT")):
				r.locked, r.password = true, value
			case slices.Contains(s.password, strings.TrimSuffix(name, "_FILE")):
				r.locked = true
			case slices.Contains(s.user, name):
				r.user = value
			case slices.Contains(s.database, name):
				r.name = value
			}
		}
		for _, from := range w.main.Get("envFrom").ItemsOrNone() {
			for _, kind := range []string{"ConfigMap", "Secret"} {
				ref := from.Get(strings.ToLower(kind[:1]) + kind[1:] + "Ref").Get("name").Str()
				o := c.find(kind, ref)
				if o == nil {
					continue
				}
				for _, f := range o.keys() {
					name := from.Get("prefix").Str() + f.Key
					switch {
					case slices.Contains(s.password, name):
						r.locked, r.password = true, secretMark+ref+"/"+f.Key
					case slices.Contains(s.user, name) && kind == "ConfigMap":
						r.user = f.Value.Str()
					case slices.Contains(s.database, name) && kind == "ConfigMap":
						r.name = f.Value.Str()
					}
				}
			}
		}
		for _, word := range append(w.main.Get("command").Strings(), w.main.Get("args").Strings()...) {
			for _, flag := range s.password {
				if strings.HasPrefix(flag, "-") && (word == flag || strings.HasPrefix(word, flag+"=") || strings.Contains(word, flag+" ")) {
					r.locked = true
				}
			}
		}
		w.friend = r
	}
}

// literal gives a variable's value, or a name for the secret that it is read
// from.
func (w *work) literal(v *source.Value) string {
	if ref := v.At("valueFrom", "secretKeyRef"); ref != nil {
		return secretMark + ref.Get("name").Str() + "/" + ref.Get("key").Str()
	}
	if ref := v.At("valueFrom", "configMapKeyRef"); ref != nil {
		if o := w.c.find("ConfigMap", ref.Get("name").Str()); o != nil {
			return string(o.data()[ref.Get("key").Str()])
		}
	}
	return v.Get("value").Str()
}

// befriend notes that w talks to another workload, and gives the name by which
// its descriptor knows it.
func (w *work) befriend(to *work) string {
	u := w.use(to)
	u.speaks = true
	return to.friendName(w)
}

// use gives what is known of w talking to another workload.
func (w *work) use(to *work) *useOf {
	for _, u := range w.uses {
		if u.to == to {
			return u
		}
	}
	u := &useOf{to: to}
	w.uses = append(w.uses, u)
	return u
}

// friendName gives a server's name in a consumer's descriptor: where the server
// is called CONSUMER-NAME, as the friend of one service alone would be, NAME.
func (w *work) friendName(by *work) string {
	if rest, ok := strings.CutPrefix(w.d.service, by.d.service+"-"); ok && rest != "" && w.friend != nil && !w.c.p.shared[w.d.service] {
		return rest
	}
	return w.d.service
}

// scan goes through what a workload's containers say, to find out whom it talks
// to before anything is written.
func (w *work) scan() {
	w.eachText(func(name, value string) { w.addressed(name, text(value)) })
}

// eachText calls back for each text that a workload's containers get: a variable
// with its name, or an argument without one.
func (w *work) eachText(found func(name, value string)) {
	for _, c := range append(w.pod.Get("containers").ItemsOrNone(), w.pod.Get("initContainers").ItemsOrNone()...) {
		for _, v := range c.Get("env").ItemsOrNone() {
			if value := w.literal(v); !strings.HasPrefix(value, secretMark) {
				found(v.Get("name").Str(), value)
			}
		}
		for _, from := range c.Get("envFrom").ItemsOrNone() {
			if o := w.c.find("ConfigMap", from.At("configMapRef", "name").Str()); o != nil {
				for _, f := range o.keys() {
					found(from.Get("prefix").Str()+f.Key, f.Value.Str())
				}
			}
		}
		for _, word := range append(c.Get("command").Strings(), c.Get("args").Strings()...) {
			found("", word)
		}
	}
}

// serverURL is a URL with what a server's has: user, password, host, database.
var serverURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://(?:([^/@\s:]*)(?::([^/@\s]*))?@)?([a-zA-Z0-9][-a-zA-Z0-9.]*)(?::[0-9]+)?(?:/([-a-zA-Z0-9_.$]+))?`)

// settleDatabases takes a server's user and database from those that talk to it,
// where the server itself does not say them.
func (c *cluster) settleDatabases() {
	for _, by := range c.works {
		var servers []*recognised
		for _, u := range by.uses {
			if r := u.to.friend; r != nil && r.hasDatabase {
				servers = append(servers, r)
			}
		}
		by.eachText(func(name, value string) {
			for _, m := range serverURL.FindAllStringSubmatch(value, -1) {
				if to := c.addressee(m[3]); to != nil && to.friend != nil && to != by {
					to.friend.take(m[1], m[4])
				}
			}
			switch {
			case len(servers) != 1 || strings.ContainsAny(value, ":/$"):
			case databaseName.MatchString(name):
				servers[0].take("", value)
			case userName.MatchString(name) && servers[0].locked:
				servers[0].take(value, "")
			}
		})
	}
	for _, w := range c.works {
		if w.friend != nil {
			w.friend.settled = true
		}
	}
}

// take notes the user and the database that a consumer names.
func (r *recognised) take(user, database string) {
	if r.user == "" && user != "" && user != r.root && r.username != "" && r.locked && !strings.Contains(user, "$") {
		r.user = user
	}
	if r.hasDatabase && r.name == "" && !strings.Contains(database, "$") {
		r.name = database
	}
}

// settleFriends decides which servers become friends, in all environments alike:
// those that somebody talks to. A server of one service alone, called after it,
// is installed with it; others are shared.
func (p *project) settleFriends(clusters []*cluster) {
	for _, c := range clusters {
		c.settleDatabases()
	}
	users := map[string]map[string]bool{}
	for _, c := range clusters {
		for _, w := range c.works {
			if w.friend == nil {
				continue
			}
			if users[w.d.service] == nil {
				users[w.d.service] = map[string]bool{}
			}
			for _, by := range c.works {
				if slices.ContainsFunc(by.uses, func(u *useOf) bool { return u.to == w }) {
					users[w.d.service][by.d.service] = true
				}
			}
		}
	}
	for _, c := range clusters {
		for _, w := range c.works {
			if w.friend == nil || len(users[w.d.service]) > 0 {
				continue
			}
			// Some address is built into the program: its name may tell whose it is.
			for _, by := range c.works {
				if by.friend == nil && by != w && strings.HasPrefix(w.d.service, by.d.service+"-") {
					by.use(w).guess = true
				}
			}
		}
	}
	for _, c := range clusters {
		for _, w := range c.works {
			if w.friend == nil {
				continue
			}
			guessed := slices.ContainsFunc(c.works, func(by *work) bool {
				return slices.ContainsFunc(by.uses, func(u *useOf) bool { return u.to == w })
			})
			those := users[w.d.service]
			if len(those) == 0 && !guessed {
				p.report.add(Decide, w.origin(), w.d.service, c.environment.name, w.ref(), "it is %s, which kai's library has as a friend; nothing names it, so it is a service of its own", w.friend.friend)
				w.friend = nil
				continue
			}
			alone := len(those) == 0
			for name := range those {
				alone = len(those) == 1 && strings.HasPrefix(w.d.service, name+"-")
			}
			p.shared[w.d.service] = !alone
		}
	}
	// A server is a friend in all environments or in none.
	for _, c := range clusters {
		for _, w := range c.works {
			if w.friend != nil {
				p.drafts = slices.DeleteFunc(p.drafts, func(d *draft) bool { return d == w.d })
			}
		}
	}
}

// ownServer is how the server of a service is often called.
var ownServer = regexp.MustCompile(`^(.+)-(db|database|cache|redis|mysql|mongo|mongodb|postgres|postgresql|rabbitmq)$`)

// guessFriends takes a service that nothing names for that of the service which it
// is called after: CATALOGUE-db.
func (p *project) guessFriends(clusters []*cluster) {
	for _, c := range clusters {
		for _, w := range c.works {
			m := ownServer.FindStringSubmatch(w.d.service)
			if m == nil || w.friend != nil || w.primary == nil {
				continue
			}
			named := slices.ContainsFunc(c.works, func(by *work) bool {
				return slices.ContainsFunc(by.uses, func(u *useOf) bool { return u.to == w })
			})
			for _, by := range c.works {
				if !named && by.friend == nil && by.d.service == m[1] {
					by.use(w).guess = true
				}
			}
		}
	}
}

// setFriends writes whom a workload talks to.
func (w *work) setFriends() {
	for _, u := range w.uses {
		to, r := u.to, u.to.friend
		if u.guess {
			w.c.p.report.add(Decide, to.origin(), w.d.service, w.d.context, to.ref(), "it is taken for the friend of %s by its name alone", w.d.service)
		}
		if r == nil {
			w.d.add("friends", mapOf(entry("service", text(to.d.service))))
			continue
		}
		to.used = true
		settings := to.friendSettings(w.c.p.shared[to.d.service])
		if w.c.p.shared[to.d.service] {
			w.c.p.share(to.d.service, settings, r)
			use := text(to.d.service)
			if u.speaks && r.locked {
				use = mapOf(entry("from", text(to.d.service)), entry("env", null()))
			}
			w.d.add("friends", use)
			continue
		}
		use := mapOf(entry("from", text(r.friend)), entry("name", text(to.friendName(w))))
		for _, f := range settings.Fields {
			use.Set(f.Key, f.Value)
		}
		if u.speaks && !use.Has("env") {
			use.Set("env", null())
		}
		w.d.add("friends", use)
	}
}

// friendSettings gives what a server's friend says beyond the library's.
func (w *work) friendSettings(shared bool) *source.Value {
	r := w.friend
	out := source.NewMap(source.Origin{})
	d := w.c.p
	switch {
	case r.name != "" && r.hasDatabase:
		out.Set("config", mapOf(entry("database", text(r.name))))
	case shared && r.hasDatabase:
		out.Set("config", mapOf(entry("database", text(strings.ReplaceAll(w.d.service, "-", "_")))))
	}
	if r.user != "" && !strings.HasPrefix(r.user, secretMark) {
		out.Set("credentials", mapOf(entry(r.username, text(r.user))))
	}
	switch {
	case r.secret == "":
	case !r.locked && r.open != nil:
		for _, f := range r.open.Fields {
			out.Set(f.Key, f.Value.Shallow())
		}
	case !r.locked:
		d.report.add(Decide, w.origin(), w.d.service, w.c.environment.name, w.ref(), "the source has no password, and the friend %s has one: give it to its consumers", r.friend)
	}
	d.report.add(Decide, w.main.Get("image").OriginOrNone(), w.d.service, w.c.environment.name, w.ref(), "it is the friend %s of kai's library: of the library's version, with a new volume and, where it has one, a password of its own (%s secrets generate); bring the data over", r.friend, d.kai)
	if resources := w.friendResources(); len(resources.FieldsOrNone()) > 0 {
		child(out, "values").Set("resources", resources)
	}
	w.friendRest()
	for _, o := range append([]*object{w.primary}, w.more...) {
		w.goesWith(o)
	}
	w.c.settleFriendParts(w)
	return out
}

// friendResources gives the resources that a server has in the source. A limit of
// the library's that is below what it asks for is taken away.
func (w *work) friendResources() *source.Value {
	out := w.resources(w.main, "friend")
	for _, f := range out.Get("requests").FieldsOrNone() {
		if out.Get("limits").Get(f.Key) == nil && moreThan(f.Value, flavorLimits[f.Key]) {
			child(out, "limits").Set(f.Key, null())
		}
	}
	return out
}

// friendRest reports what a server's container says that its friend does not. Of
// Compose's keys the report tells one by one.
func (w *work) friendRest() {
	if w.c.published != nil {
		return
	}
	say := func(v *source.Value, what string) {
		w.c.p.report.add(LeftOut, v.Origin, w.d.service, w.c.environment.name, w.ref()+" "+what, "the friend %s has it in its own way: give it what it still needs under values", w.friend.friend)
	}
	for _, key := range []string{"command", "args", "lifecycle", "workingDir"} {
		if v := w.main.Get(key); !v.IsNull() {
			say(v, key)
		}
	}
	for _, v := range w.main.Get("env").ItemsOrNone() {
		if name := v.Get("name").Str(); !w.friend.knows(name) {
			say(v, "env "+name)
		}
	}
	for _, v := range w.pod.Get("initContainers").ItemsOrNone() {
		say(v, "initContainers "+v.Get("name").Str())
	}
}

// knows says whether a variable is one that the friend has by its credentials and
// its config.
func (s *server) knows(name string) bool {
	name = strings.TrimSuffix(name, "_FILE")
	return slices.Contains(s.password, name) || slices.Contains(s.user, name) || slices.Contains(s.database, name)
}

// goesWith says of an object that it is the friend's matter now.
func (w *work) goesWith(o *object) {
	o.used = true
	outcome, why := LeftOut, "it belongs to %s, which is the friend %s now; give the friend what it still needs under values"
	if o == w.primary {
		outcome, why = Changed, "it belongs to %s, which is the friend %s now, and has a Service of its own"
	}
	w.c.p.report.add(outcome, o.origin(), w.d.service, w.c.environment.name, o.ref(), why, w.ref(), w.friend.friend)
}

// settleFriendParts says of what belongs to a server that it goes with it.
func (c *cluster) settleFriendParts(w *work) {
	for _, v := range w.pod.Get("volumes").ItemsOrNone() {
		for kind, name := range map[string]string{"ConfigMap": v.At("configMap", "name").Str(), "Secret": v.At("secret", "secretName").Str(), "PersistentVolumeClaim": v.At("persistentVolumeClaim", "claimName").Str()} {
			if o := c.find(kind, name); o != nil && !o.used && !c.claimedBeside(o, w) {
				w.goesWith(o)
			}
		}
	}
	for _, v := range w.main.Get("env").ItemsOrNone() {
		if o := c.find("Secret", v.At("valueFrom", "secretKeyRef", "name").Str()); o != nil && !o.used {
			w.goesWith(o)
		}
		if o := c.find("ConfigMap", v.At("valueFrom", "configMapKeyRef", "name").Str()); o != nil && !o.used {
			w.goesWith(o)
		}
	}
	for _, from := range w.main.Get("envFrom").ItemsOrNone() {
		if o := c.find("Secret", from.At("secretRef", "name").Str()); o != nil && !o.used {
			w.goesWith(o)
		}
		if o := c.find("ConfigMap", from.At("configMapRef", "name").Str()); o != nil && !o.used {
			w.goesWith(o)
		}
	}
	if o := c.find("ServiceAccount", w.pod.Get("serviceAccountName").Str()); o != nil {
		w.goesWith(o)
	}
}

// claimedBeside says whether a claim is that of another workload as well, which is
// no friend.
func (c *cluster) claimedBeside(o *object, w *work) bool {
	return o.is("PersistentVolumeClaim") && slices.ContainsFunc(c.works, func(other *work) bool {
		return other != w && other.friend == nil && slices.ContainsFunc(other.pod.Get("volumes").ItemsOrNone(), func(v *source.Value) bool {
			return v.At("persistentVolumeClaim", "claimName").Str() == o.name
		})
	})
}

// share writes a friend that several services use.
func (p *project) share(name string, settings *source.Value, r *recognised) {
	if slices.ContainsFunc(p.friends, func(f *friendFile) bool { return f.name == name }) {
		return
	}
	v := mapOf(entry("from", text(r.friend)), entry("type", text("dependency")))
	for _, f := range settings.Fields {
		v.Set(f.Key, f.Value)
	}
	p.friends = append(p.friends, &friendFile{name: name, value: v})
}

// secretMark begins the name of a value that stands in a Secret.
const secretMark = "secret:"

var (
	userName     = regexp.MustCompile(`(?i)user(name)?$`)
	databaseName = regexp.MustCompile(`(?i)(db|database|schema)(_?name)?$`)
)

// credential gives the reference for a variable that repeats what a server's own
// variable says, or nil.
func (w *work) credential(name, value string) *source.Value {
	for _, u := range w.uses {
		r := u.to.friend
		if r == nil || r.secret == "" || value == "" {
			continue
		}
		prefix := "${friends." + u.to.friendName(w) + "."
		secret := secretName.MatchString(name) || strings.HasPrefix(value, secretMark)
		switch {
		case r.locked && secret && w.c.same(value, r.ofRoot) && (r.user == "" || !w.c.same(value, r.password) || w.isRoot(r)):
			u.speaks = true
			return text(prefix + "credentials." + r.rootSecret + "}")
		case r.locked && secret && w.c.same(value, r.password):
			u.speaks = true
			return text(prefix + "credentials." + r.secret + "}")
		case r.locked && w.c.same(value, r.user) && (userName.MatchString(name) || strings.HasPrefix(value, secretMark)):
			u.speaks = true
			return text(prefix + "credentials." + r.username + "}")
		case r.hasDatabase && value == r.name && databaseName.MatchString(name):
			u.speaks = true
			return text(prefix + "config.database}")
		}
	}
	return nil
}

// same says whether two values are one, of which each may stand in a Secret.
func (c *cluster) same(a, b string) bool {
	return b != "" && (a == b || c.secretValue(a) == c.secretValue(b))
}

// secretValue gives the value of a name that begins with secretMark, where the
// source has it, and otherwise what it is given.
func (c *cluster) secretValue(s string) string {
	name, key, ok := strings.Cut(strings.TrimPrefix(s, secretMark), "/")
	if !ok || !strings.HasPrefix(s, secretMark) {
		return s
	}
	if o := c.find("Secret", name); o != nil {
		if data := o.v.At("stringData", key).Str(); data != "" {
			return data
		}
		if raw, err := base64.StdEncoding.DecodeString(o.v.At("data", key).Str()); err == nil && len(raw) > 0 {
			return string(raw)
		}
	}
	return s
}

// isRoot says whether some variable has the workload come to a server as root.
func (w *work) isRoot(r *recognised) bool {
	found := false
	w.eachText(func(name, value string) { found = found || userName.MatchString(name) && value == r.root })
	return found
}

// withCredentials puts references in the place of a server's user, password and
// database in a URL that leads to it.
func (w *work) withCredentials(text string, at source.Origin) string {
	for _, u := range w.uses {
		r := u.to.friend
		if r == nil || !r.settled || !r.locked || r.secret == "" || !strings.Contains(text, "${friends."+u.to.friendName(w)+".") {
			continue
		}
		head, rest, ok := strings.Cut(text, "://")
		if !ok {
			continue
		}
		userinfo, tail, ok := strings.Cut(rest, "@")
		if !ok || strings.ContainsAny(userinfo, "/ ") {
			continue
		}
		user, _, hasPassword := strings.Cut(userinfo, ":")
		if !hasPassword {
			continue
		}
		prefix := "${friends." + u.to.friendName(w) + "."
		secret := r.secret
		switch {
		case user == r.root && r.root != "":
			secret = r.rootSecret
		case user != "":
			if r.user != "" && user != r.user && !strings.ContainsAny(user+r.user, "$:") {
				w.c.p.report.add(Changed, at, w.d.service, w.d.context, "user "+user, "the friend %s makes the user %s alone, as whom it comes now", u.to.friendName(w), r.user)
			}
			user = prefix + "credentials." + r.username + "}"
		}
		return head + "://" + user + ":" + prefix + "credentials." + secret + "}@" + w.withDatabase(tail, prefix, u.to, at)
	}
	return text
}

// withDatabase puts a reference in the place of the database in what follows a
// server's host and port in a URL.
func (w *work) withDatabase(tail, prefix string, to *work, at source.Origin) string {
	r := to.friend
	host, path, ok := strings.Cut(tail, "/")
	name := path[:len(path)-len(strings.TrimLeftFunc(path, isNamed))]
	if vhost, _, _ := strings.Cut(path, "?"); r.friend == "rabbitmq" && vhost != "" && !strings.EqualFold(vhost, "%2f") {
		w.c.p.report.add(Decide, at, w.d.service, w.d.context, "vhost "+vhost, "the friend %s makes the vhost / alone: make this one as well, or take it out of the URL", to.friendName(w))
	}
	if !ok || name == "" || !r.hasDatabase || strings.Contains(host, ",") {
		return tail
	}
	if name == r.name {
		return host + "/" + prefix + "config.database}" + path[len(name):]
	}
	w.c.p.report.add(Decide, at, w.d.service, w.d.context, "database "+name, "the friend %s makes the database %s alone: make this one as well, or a friend of its own", to.friendName(w), r.name)
	return tail
}

func isNamed(c rune) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
