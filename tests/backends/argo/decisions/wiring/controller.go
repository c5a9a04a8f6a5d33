// Package analysis without what connects its controller to a cluster. It stands in for analysis/controller.go of Argo
// Rollouts, so that its reconciliation can be called as it is.
package analysis

import (
	"fmt"
	"time"

	log "github.com/sirupsen/logrus"
	"k8s.io/client-go/kubernetes"

	"github.com/argoproj/argo-rollouts/metric"
	"github.com/argoproj/argo-rollouts/metricproviders/prometheus"
	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	clientset "github.com/argoproj/argo-rollouts/pkg/client/clientset/versioned"
	"github.com/argoproj/argo-rollouts/utils/record"
)

type Controller struct {
	kubeclientset        kubernetes.Interface
	argoProjClientset    clientset.Interface
	newProvider          func(logCtx log.Entry, namespace string, metric v1alpha1.Metric) (metric.Provider, error)
	enqueueAnalysisAfter func(obj any, duration time.Duration)
	recorder             record.EventRecorder
}

// Reconcile reconciles a run once; after is told when it wants to be reconciled again.
func Reconcile(run *v1alpha1.AnalysisRun, after func(time.Duration)) *v1alpha1.AnalysisRun {
	c := &Controller{
		newProvider:          newProvider,
		enqueueAnalysisAfter: func(_ any, duration time.Duration) { after(duration) },
		recorder:             record.Silent{},
	}
	return c.reconcileAnalysisRun(run)
}

func newProvider(logCtx log.Entry, _ string, metric v1alpha1.Metric) (metric.Provider, error) {
	switch {
	case metric.Provider.Web != nil:
		client, err := webmetric.NewWebMetricHttpClient(metric)
		if err != nil {
			return nil, err
		}
		parser, err := webmetric.NewWebMetricJsonParser(metric)
		if err != nil {
			return nil, err
		}
		return webmetric.NewWebMetricProvider(logCtx, client, parser), nil
	case metric.Provider.Prometheus != nil:
		api, err := prometheus.NewPrometheusAPI(metric)
		if err != nil {
			return nil, err
		}
		return prometheus.NewPrometheusProvider(api, logCtx, metric)
	}
	return nil, fmt.Errorf("metric %s has neither a web nor a Prometheus provider", metric.Name)
}
