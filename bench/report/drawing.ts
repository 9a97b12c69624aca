// What all charts share. The background is transparent, and each colour has enough contrast to white and to black: a
// picture is looked at on both.

import * as echarts from 'echarts'

export const WIDTH = 860
/** Grey with the same contrast to white and to black, 4.6 : 1. */
export const INK = '#757575'
export const FAINT = '#75757555'
/** Bars: ours, and all others. */
export const OURS = '#2f7fd1'
export const OTHERS = '#8a8a8a'
export const MET = '#2e8b57'
export const MISSED = '#d9480f'

/** Each at least 3 : 1 against white and against black, as WCAG asks of graphics. */
const palette = [
  '#c2571a',
  '#2f7fd1',
  '#2e8b57',
  '#c04f8a',
  '#8a6fd1',
  '#8c7a1e',
  '#1b8a94',
  '#d0484b',
  '#7d7d7d',
]

export function colorOf(index: number): string {
  return palette[index % palette.length] ?? INK
}

export const text = { color: INK, fontFamily: 'system-ui, Helvetica, Arial, sans-serif', fontSize: 12 }

export const axis = {
  axisLine: { show: true, onZero: false, lineStyle: { color: INK } },
  axisTick: { show: false },
  minorTick: { show: false },
  axisLabel: text,
  nameTextStyle: text,
  splitLine: { lineStyle: { color: FAINT } },
}

/** The vertical line at 1: just reached. */
export const lineAtOne = {
  silent: true,
  symbol: 'none',
  data: [{ xAxis: 1 }],
  label: { show: false },
  lineStyle: { color: INK, type: 'solid', width: 1.5 },
}

export function heading(title: string, subtext: string, fontSize = text.fontSize) {
  const textStyle = { ...text, fontSize: Math.round(fontSize * 1.25), fontWeight: 'bold' }
  const subtextStyle = { ...text, fontSize }
  return { title: { text: title, subtext, left: 0, top: 0, itemGap: 4, textStyle, subtextStyle } }
}

/** Room for the longest of these labels, whatever font the reader has. */
export function labelWidth(labels: string[], fontSize = text.fontSize): number {
  const lines = labels.flatMap((label) => label.split('\n'))
  return Math.ceil(Math.max(...lines.map((line) => line.length)) * fontSize * 0.58) + 12
}

/**
 * A legend in columns of a fixed width. echarts would place the names by estimated widths, which are too small without
 * the reader's fonts.
 */
export function legend(names: string[], top: number): { graphic: object[]; height: number } {
  const columns = Math.max(...names.map((name) => name.length)) > 24 ? 3 : 4
  const graphic = names.flatMap((name, index) => {
    const x = (index % columns) * (WIDTH / columns)
    const y = top + 8 + 20 * Math.floor(index / columns)
    const words = { text: name, x: x + 14, y, fill: INK, font: `12px ${text.fontFamily}` }
    return [
      { type: 'circle', shape: { cx: x + 5, cy: y, r: 4.5 }, style: { fill: colorOf(index) } },
      { type: 'text', style: { ...words, verticalAlign: 'middle' } },
    ]
  })
  return { graphic, height: 20 * Math.ceil(names.length / columns) }
}

/** Drawn without a browser. */
export function draw(height: number, option: object): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({ animation: false, backgroundColor: 'transparent', ...option })
    return `${chart.renderToSVGString({ useViewBox: true })}\n`
  } finally {
    chart.dispose()
  }
}
