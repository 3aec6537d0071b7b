// A program that reads its configuration through generated code, and says what it has read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/BurntSushi/toml"
	"github.com/helm-kai/helm-kai/config"
	"gopkg.in/yaml.v3"
)

func main() {
	c, err := config.Load(yaml.Unmarshal, toml.Unmarshal)
	var wrong *config.Error
	if errors.As(err, &wrong) {
		fmt.Fprintln(os.Stderr, wrong)
		for _, p := range wrong.Problems {
			fmt.Println(p)
		}
		os.Exit(3)
	}
	for name, value := range map[string]any{
		"CPUS": c.Cpus, "EMPTY": c.Empty, "FEATURE_X": c.FeatureX, "GREETING": c.Greeting, "HOME_URL": c.HomeURL, "INT": c.Int,
		"LISTEN": c.Listen, "LOG_LEVEL": c.LogLevel, "METRICS_URL": c.MetricsURL, "POD_IP": c.PodIP, "PORT": c.Port,
		"QUOTED": c.Quoted, "RATIO": c.Ratio, "TIMEOUT": c.Timeout.Milliseconds(), "VERSION": c.Version, "WORKERS": c.Workers,
		"ZIP": c.Zip, "class": c.Class, "user.name": c.UserName, "user_name": c.UserName2,
		"DEBUG_DIR": c.DebugDir == nil,

		"app.server.port": c.Files.App.Server.Port + 1, "app.server.timeout": c.Files.App.Server.Timeout.Milliseconds(),
		"app.name": c.Files.App.Name, "app.switch": c.Files.App.Switch, "app.weird": c.Files.App.WeirdKey + c.Files.App.WeirdKey2,
		"app.class": c.Files.App.Class, "app.homes": len(c.Files.App.Homes), "app.home": c.Files.App.Homes[1].URL.Hostname(),
		"app.weight": c.Files.App.Homes[1].Weight, "app.note": c.Files.App.Homes[0].Note == nil, "app.tag": c.Files.App.Tags[1],
		"limits.burst": c.Files.Limits.Burst, "limits.day": c.Files.Limits.Per.User.Day, "motd": c.Files.MotdTxt,
		"tool.owner.age": c.Files.Tool.Owner.Age, "tool.rule": c.Files.Tool.Rule[0].Name, "logo": len(c.Files.LogoBin),
		"broker.retries": c.Files.Broker.Retries, "folder": c.Folders.Scratch, "port": c.Ports.HTTP + c.Ports.Admin,
	} {
		text, err := json.Marshal(fmt.Sprint(value))
		if f, ok := value.(*float64); ok {
			text, err = json.Marshal(fmt.Sprint(*f))
		}
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s=%s\n", name, text)
	}
	for name, secret := range map[string]config.Secret{
		"LICENSE": c.License, "SIGNING_KEY": c.SigningKey, "POSTGRESQL_URL": c.PostgresqlURL, "RABBITMQ_URL": c.RabbitmqURL,
		"tls.key": c.Files.TLSKey, "broker.password": c.Files.Broker.Password,
	} {
		text, _ := json.Marshal(secret.Reveal())
		fmt.Printf("reveal %s=%s\n", name, text)
		fmt.Printf("%v %+v %#v %s %q %x %d %p %t\n", secret, secret, secret, secret, secret, secret, secret, &secret, secret)
		fmt.Println(&secret, []any{secret}, map[string]config.Secret{"a": secret}, struct{ S *config.Secret }{&secret}, errors.New(fmt.Sprint(secret)))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Printf(verb+" "+verb+"\n", c, *c)
	}
	slog.New(slog.NewJSONHandler(os.Stdout, nil)).Info("config", "config", c, "key", c.SigningKey)
	slog.New(slog.NewTextHandler(os.Stdout, nil)).Info("config", "config", c, "key", c.SigningKey)
	text, err := json.Marshal(c)
	fmt.Println(string(text), err)
	more, err := yaml.Marshal(c)
	fmt.Println(string(more), err)
}
