package schedule

// A FieldError reports a field of an Entry that is not usable. It is final.
type FieldError struct {
	Field string // as in schedule.toml, such as "cron" or "limits.memory"; "" when it is about several
	Text  string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return "schedule: " + e.Text
	}
	return "schedule: " + e.Field + ": " + e.Text
}

// Code returns "schedule.field".
func (e *FieldError) Code() string { return "schedule.field" }

// A ConfigError reports a field of Config that is not usable. It is final.
type ConfigError struct{ Field, Text string }

func (e *ConfigError) Error() string { return "schedule: config: " + e.Field + ": " + e.Text }

// Code returns "schedule.config".
func (e *ConfigError) Code() string { return "schedule.config" }
