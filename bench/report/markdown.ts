// Tables in Markdown.

import { markdownTable } from 'markdown-table'
import type { Table } from '../suites/suite'

export function formatMarkdown({ head, rows }: Table): string {
  const escaped = (cells: string[]) => cells.map((cell) => cell.replaceAll('|', '\\|'))
  return markdownTable([head, ...rows].map(escaped), { alignDelimiters: false })
}
