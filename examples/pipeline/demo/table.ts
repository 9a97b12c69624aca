/** A table of figures with a verdict for each, readable on a terminal and in a log. */

import pc from 'picocolors'

/** `ok: undefined`: the figure is information and has no right or wrong value. */
export type Row = readonly [name: string, value: number | string, ok: boolean | undefined]

export function table(rows: readonly Row[]): string {
  const names = Math.max(...rows.map(([name]) => name.length))
  const values = Math.max(...rows.map(([, value]) => String(value).length))
  const lines = rows.map(([name, value, ok]) => {
    const verdict = ok === undefined ? '' : ok ? pc.green('ok') : pc.red('WRONG')
    return `  ${name.padEnd(names)}  ${String(value).padStart(values)}  ${verdict}`.trimEnd()
  })
  return lines.join('\n')
}
