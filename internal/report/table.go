package report

import (
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
)

// Table prints rows below columns as kubectl does. Without rows it prints
// nothing: the caller knows what is missing. It fails where w does.
func Table(w io.Writer, columns []string, rows [][]string) error {
	table := &metav1.Table{Rows: make([]metav1.TableRow, len(rows))}
	for _, c := range columns {
		table.ColumnDefinitions = append(table.ColumnDefinitions, metav1.TableColumnDefinition{Name: c, Type: "string"})
	}
	for i, row := range rows {
		cells := make([]any, len(row))
		for j, cell := range row {
			cells[j] = cell
		}
		table.Rows[i].Cells = cells
	}
	out := printers.GetNewTabWriter(w)
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(table, out); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
