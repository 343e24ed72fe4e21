package pdf

import (
	"bytes"
	"testing"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
)

func TestPdfcpuAcceptsDocuments(t *testing.T) {
	api.DisableConfigDir() // it would write one into the user's home
	for name, pages := range documents(t) {
		t.Run(name, func(t *testing.T) {
			conf := model.NewDefaultConfiguration()
			conf.ValidationMode = model.ValidationStrict
			if err := api.Validate(bytes.NewReader(build(t, exampleMeta(), 2, pages...)), conf); err != nil {
				t.Error(err)
			}
		})
	}
}
