// Charts of what is not a ratio to the subject: targets, counts, and growth.

import type { Bars, Fact, Lines } from '../suites/suite'
import {
  axis,
  colorOf,
  draw,
  FAINT,
  heading,
  INK,
  labelWidth,
  legend,
  lineAtOne,
  MET,
  MISSED,
  text,
} from './drawing'

/** How far each target was reached: a dot a row, right of the line at 1 if it was. */
export function reachChart(title: string, facts: Fact[]): string {
  const rows = facts.flatMap(({ row, against, share, met }) => (share ? [{ row, against, share, met }] : []))
  const rivals = new Set(rows.map(({ against }) => against))
  const names = rows.map(({ row, against }) => {
    const short = row.replace(/, time on the JS thread$/, '').replace(': ', ':\n')
    return rivals.size > 1 ? `${short}\nagainst ${against}` : short
  })
  const line = 16 * Math.max(...names.map((name) => name.split('\n').length)) + 4
  return draw(76 + line * rows.length, {
    ...heading(title, 'reached, of the target (1: just reached)'),
    grid: { left: labelWidth(names), right: 30, top: 46, bottom: 26 },
    xAxis: {
      type: 'log',
      min: Number((0.85 * Math.min(1, ...rows.map(({ share }) => share))).toPrecision(1)),
      ...axis,
      axisLabel: { ...text, formatter: (value: number) => `${Number(value.toPrecision(2))}` },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: names,
      ...axis,
      axisLine: { show: false },
      splitLine: { show: true, lineStyle: { color: FAINT, type: 'dotted' } },
      axisLabel: { ...text, interval: 0, lineHeight: 15 },
    },
    series: [
      {
        type: 'scatter',
        symbolSize: 10,
        data: rows.map(({ share, met }, line) => ({
          value: [share, line],
          itemStyle: { color: met ? MET : MISSED, opacity: 1 },
        })),
        markLine: lineAtOne,
      },
    ],
  })
}

/** A line a series. */
export function lineChart({ title, x, y, series, connected = false }: Lines): string {
  const below = y.title ? 44 : 28
  const names = legend(
    series.map(({ name }) => name),
    below,
  )
  const top = below + 16 + names.height
  return draw(top + 250, {
    ...heading(title, y.title),
    graphic: names.graphic,
    grid: { left: 56, right: 24, top, bottom: 46 },
    xAxis: {
      type: 'category',
      data: x.values.map((value) => value.toLocaleString('en')),
      name: x.title,
      nameLocation: 'middle',
      nameGap: 28,
      ...axis,
    },
    yAxis: { type: y.log ? 'log' : 'value', ...axis },
    series: series.map((one, index) => ({
      name: one.name,
      type: 'line',
      data: one.values,
      connectNulls: connected,
      symbol: 'circle',
      symbolSize: 8,
      itemStyle: { color: colorOf(index) },
      lineStyle: { width: 2, color: colorOf(index) },
    })),
  })
}

/** Grouped bars, or one bar a group, of 100. */
export function barChart({ title, groups, series, percent = false }: Bars): string {
  const names = legend(series.length > 1 ? series.map(({ name }) => name) : [], 28)
  const top = 38 + names.height
  return draw(top + 38 + groups.length * (percent ? 22 : 12 + 11 * series.length), {
    ...heading(title, ''),
    graphic: names.graphic,
    grid: { left: labelWidth(groups), right: 40, top, bottom: 28 },
    xAxis: { type: 'value', ...(percent ? { max: 100 } : {}), ...axis },
    yAxis: { type: 'category', inverse: true, data: groups, ...axis, axisLabel: { ...text, interval: 0 } },
    series: series.map((one, index) => ({
      name: one.name,
      type: 'bar',
      data: one.values,
      itemStyle: { color: colorOf(index) },
      ...(percent
        ? { barWidth: 14, stack: 'all' }
        : {
            barWidth: 9,
            label: { show: true, position: 'right', color: INK, fontSize: 10, textBorderWidth: 0 },
          }),
    })),
  })
}
