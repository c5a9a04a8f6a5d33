// Runs AnalysisRuns through the analysis controller of Argo Rollouts, in simulated time.
//
// Standard input holds stories as JSON: the metrics of a template, and what the webhook and Prometheus answer when.
// What measures, judges and counts is Argo's own code, unchanged: its reconciliation of an AnalysisRun, its web and
// Prometheus providers. Only what connects it to a cluster is replaced; see wiring.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/argoproj/argo-rollouts/analysis"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	timeutil "github.com/argoproj/argo-rollouts/utils/time"
	log "github.com/sirupsen/logrus"
)

// Answer is what the webhook says from a moment on; status 0 closes the connection, at once or after Argo's patience.
type Answer struct {
	From     float64
	Status   int
	Hangs    bool
	Body     string
	Location string
}

// Gauge is what Prometheus has of the verdict from a moment on; nil is no series, Down is no Prometheus.
type Gauge struct {
	From  float64
	Value *float64
	Down  bool
}

type Story struct {
	Metrics []v1alpha1.Metric
	DryRun  []v1alpha1.DryRun
	Args    map[string]string
	Answers []Answer
	Gauges  []Gauge
	Seconds float64
}

type Ending struct {
	Phase   v1alpha1.AnalysisPhase
	Seconds float64
	Asked   int
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world answers as the story says at the simulated moment.
type world struct {
	lock  sync.Mutex
	story Story
	now   float64
	asked int
}

func (w *world) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if in.URL.Path == "/login" {
		io.WriteString(out, "<html>log in</html>")
		return
	}
	w.asked++
	if in.URL.Path == "/api/v1/query" {
		w.gauge(out)
		return
	}
	said := Answer{Status: 200}
	for _, each := range w.story.Answers {
		if each.From <= w.now {
			said = each
		}
	}
	if said.Status == 0 {
		if said.Hangs {
			w.now += float64(w.story.Metrics[0].Provider.Web.TimeoutSeconds)
		}
		panic(http.ErrAbortHandler)
	}
	if said.Location != "" {
		out.Header().Set("Location", said.Location)
	}
	out.WriteHeader(said.Status)
	io.WriteString(out, said.Body)
}

func (w *world) gauge(out http.ResponseWriter) {
	said := Gauge{}
	for _, each := range w.story.Gauges {
		if each.From <= w.now {
			said = each
		}
	}
	if said.Down {
		out.WriteHeader(503)
		return
	}
	result := "[]"
	if said.Value != nil {
		result = fmt.Sprintf(`[{"metric":{},"value":[1,"%g"]}]`, *said.Value)
	}
	out.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(out, `{"status":"success","data":{"resultType":"vector","result":%s}}`, result)
}

func run(story Story) Ending {
	here := &world{story: story}
	server := httptest.NewServer(here)
	defer server.Close()
	made := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: story.Metrics, DryRun: story.DryRun}}
	for name, value := range story.Args {
		value := value
		made.Spec.Args = append(made.Spec.Args, v1alpha1.Argument{Name: name, Value: &value})
	}
	for _, name := range []string{"server", "prometheus"} {
		made.Spec.Args = append(made.Spec.Args, v1alpha1.Argument{Name: name, Value: &server.URL})
	}
	timeutil.SetNowTimeFunc(func() time.Time { return epoch.Add(time.Duration(here.now * float64(time.Second))) })
	for here.now <= story.Seconds {
		next := time.Second
		before := here.asked
		made = analysis.Reconcile(made, func(after time.Duration) { next = max(after, time.Second) })
		if here.asked != before && !made.Status.Phase.Completed() {
			// What a run has changed wakes the controller again at once.
			made = analysis.Reconcile(made, func(after time.Duration) { next = max(after, time.Second) })
		}
		if made.Status.Phase.Completed() {
			break
		}
		here.now += next.Seconds()
	}
	return Ending{made.Status.Phase, here.now, here.asked}
}

func main() {
	log.SetOutput(io.Discard)
	var stories []Story
	if err := json.NewDecoder(os.Stdin).Decode(&stories); err != nil {
		panic(err)
	}
	endings := []Ending{}
	for _, story := range stories {
		endings = append(endings, run(story))
	}
	json.NewEncoder(os.Stdout).Encode(endings)
}
