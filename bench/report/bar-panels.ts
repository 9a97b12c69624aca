// Bars of times as long as ours: a panel a case, all on one scale, ours first and at 1.

import { axis, draw, FAINT, heading, labelWidth, OTHERS, OURS, text } from './drawing'

export interface Panel {
  title: string
  /** Ours first. */
  bars: { name: string; value: number }[]
}

export interface PanelOptions {
  title: string
  subtext: string
  panels: Panel[]
  fontSize?: number
  /** Each panel has a scale of its own, where one holds far greater values than the others. */
  ownScales?: boolean
}

export function barPanels({
  title,
  subtext,
  panels,
  fontSize = 13,
  ownScales = false,
}: PanelOptions): string {
  const names = [...new Set(panels.flatMap(({ bars }) => bars.map(({ name }) => name)))]
  const line = Math.round(fontSize * 1.75)
  const head = Math.round(fontSize * 2)
  const left = labelWidth(names, fontSize)
  const right = Math.ceil(fontSize * 5)
  const words = { ...text, fontSize }
  const highest = Math.max(...panels.flatMap(({ bars }) => bars.map(({ value }) => value)))
  let top = title ? Math.round(fontSize * 4.2) : 0
  const laid = panels.map((panel) => {
    const place = { top: top + head, height: line * panel.bars.length }
    top += head + place.height + Math.round(fontSize * 0.9)
    return { ...panel, place }
  })
  return draw(top, {
    title: [
      ...(title ? [heading(title, subtext, fontSize).title] : []),
      ...laid.map((panel) => ({
        text: panel.title,
        left: 0,
        top: panel.place.top - head + Math.round(fontSize * 0.4),
        textStyle: { ...words, fontWeight: 'bold' },
      })),
    ],
    grid: laid.map(({ place }) => ({ left, right, ...place })),
    xAxis: laid.map(({ bars }, gridIndex) => ({
      gridIndex,
      type: 'value',
      min: 0,
      max: ownScales ? Math.max(...bars.map(({ value }) => value)) : highest,
      show: false,
    })),
    yAxis: laid.map(({ bars }, gridIndex) => ({
      gridIndex,
      type: 'category',
      inverse: true,
      data: bars.map(({ name }) => name),
      ...axis,
      axisLine: { show: true, lineStyle: { color: FAINT } },
      axisLabel: { ...words, interval: 0, margin: 8 },
    })),
    series: laid.map(({ bars }, index) => ({
      type: 'bar',
      xAxisIndex: index,
      yAxisIndex: index,
      barWidth: '68%',
      data: bars.map(({ value }, bar) => ({ value, itemStyle: { color: bar === 0 ? OURS : OTHERS } })),
      label: {
        show: true,
        position: 'right',
        formatter: ({ value }: { value: number }) => formatTimes(value),
        ...words,
        textBorderWidth: 0,
      },
    })),
  })
}

/** Two digits, or all before the point: rounds differ by more than what is left out. */
export function formatTimes(value: number): string {
  if (value >= 10) return `${Math.round(value).toLocaleString('en')}×`
  return `${value.toFixed(value < 1 ? 2 : 1)}×`
}
