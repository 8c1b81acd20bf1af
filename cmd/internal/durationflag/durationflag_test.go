package durationflag

import (
	"io"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestVar(t *testing.T) {
	flags := pflag.NewFlagSet("t", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var wait, ttl time.Duration
	Var(flags, &wait, "wait", 15*time.Minute, "`DURATION` to wait")
	Var(flags, &ttl, "ttl", 0, "`DURATION` that it holds")
	want := "      --wait DURATION   DURATION to wait (default 15m)\n      --ttl DURATION    DURATION that it holds\n"
	flags.SortFlags = false
	if got := flags.FlagUsages(); got != want {
		t.Errorf("the help is\n%swant\n%s", got, want)
	}
	if err := flags.Parse([]string{"--ttl", "7d"}); err != nil || ttl != 7*24*time.Hour || wait != 15*time.Minute {
		t.Errorf("ttl is %s, wait %s: %v", ttl, wait, err)
	}
	const wrong = `invalid argument "zz" for "--ttl" flag: "zz" is not a length of time: want one such as 90s, 15m, 8h or 7d`
	if err := flags.Parse([]string{"--ttl", "zz"}); err == nil || err.Error() != wrong {
		t.Errorf("it says %v, want %s", err, wrong)
	}
}
