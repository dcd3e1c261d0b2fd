package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuideCommands holds the lines of commands in every guide against the command: each verb exists and takes those flags and
// so many arguments. What they do is tried by the scripts.
func TestGuideCommands(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "guide", "*.md"))
	check(t, err)
	shown := map[string]int{} // by page
	for _, page := range pages {
		text, err := os.ReadFile(page)
		check(t, err)
		for i, block := range strings.Split(string(text), "```") {
			if i%2 == 0 { // between blocks
				continue
			}
			for line := range strings.Lines(block) {
				command, _, _ := strings.Cut(line, " #")
				command, _, _ = strings.Cut(command, " >")
				command, _, _ = strings.Cut(command, " |")
				words := strings.Fields(command)
				if len(words) == 0 || words[0] != "caisson" {
					continue
				}
				shown[filepath.Base(page)]++
				c, rest, err := newRoot().Find(words[1:])
				if err == nil {
					err = c.ParseFlags(rest)
				}
				if err == nil {
					err = c.ValidateArgs(c.Flags().Args())
				}
				if err != nil || c.HasSubCommands() {
					t.Errorf("%s: %s: %v", page, strings.TrimSpace(line), err)
				}
			}
		}
	}
	for _, page := range []string{"fairness-and-limits.md", "operating.md", "running-redis.md", "schedules.md", "sending.md", "workflows.md"} {
		if shown[page] == 0 {
			t.Errorf("%s shows no command", page)
		}
	}
}

// TestWorkflowsGuideShowsTheExample holds the plan of the guide against the file that a script sends.
func TestWorkflowsGuideShowsTheExample(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", "workflows.md"))
	check(t, err)
	plan, err := os.ReadFile(filepath.Join("..", "..", "examples", "words", "plan.toml"))
	check(t, err)
	if !strings.Contains(string(page), "```toml\n"+string(plan)+"```") {
		t.Error("docs/guide/workflows.md does not show examples/words/plan.toml")
	}
}

// TestPlanPages reads each plan that the pages show.
func TestPlanPages(t *testing.T) {
	for _, page := range []string{"guide/workflows.md", "reference/plan.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(page)))
		check(t, err)
		blocks := strings.Split(string(text), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s has no plan", page)
		}
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")
			path := filepath.Join(t.TempDir(), "plan.toml")
			check(t, os.WriteFile(path, []byte(block), 0o600))
			if _, _, err := readPlan(path); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestMovingGuideCommands: each command that the pages for those who come from elsewhere name within a line exists, with its flags.
func TestMovingGuideCommands(t *testing.T) {
	for _, page := range []string{"coming-from-celery.md", "coming-from-asynq.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", page))
		check(t, err)
		seen := 0
		for _, part := range strings.Split(string(text), "`caisson ")[1:] {
			words, _, _ := strings.Cut(part, "`")
			seen++
			c, rest, err := newRoot().Find(strings.Fields(words))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err != nil || c == c.Root() || len(c.Flags().Args()) > 0 && !strings.HasPrefix(rest[0], "-") {
				t.Errorf("%s: caisson %s: %v", page, words, err)
			}
		}
		if seen < 5 {
			t.Errorf("%s names %d commands", page, seen)
		}
	}
}
