// Charts of what is no ratio to the subject: targets, counts, and growth.

import type { Bars, Fact, Lines } from '../suites/suite'
import { axis, colorOf, draw, heading, INK, legend, lineAtOne, MET, MISSED, text } from './drawing'

/** How far each target was reached: a bar a row, from 1, the target. */
export function reachChart(title: string, facts: Fact[]): string {
  const rows = facts.flatMap(({ row, against, share, met }) =>
    share ? [{ name: `${row} / ${against}`, share, met }] : [],
  )
  return draw(76 + 18 * rows.length, {
    ...heading(title, 'reached, of the target (1: just reached)'),
    grid: { left: 500, right: 30, top: 46, bottom: 26 },
    xAxis: {
      type: 'log',
      ...axis,
      axisLabel: { ...text, formatter: (value: number) => `${Number(value.toPrecision(3))}` },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(({ name }) => name),
      ...axis,
      axisLine: { show: false },
      axisLabel: { ...text, fontSize: 11, interval: 0 },
    },
    series: [
      {
        type: 'scatter',
        symbolSize: 9,
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
export function lineChart({ title, x, y, series }: Lines): string {
  const names = legend(
    series.map(({ name }) => name),
    44,
  )
  const top = 60 + names.height
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
      symbol: 'circle',
      symbolSize: 8,
      itemStyle: { color: colorOf(index) },
      lineStyle: { width: 2, color: colorOf(index) },
    })),
  })
}

/** Grouped bars, or one bar a group, of 100. */
export function barChart({ title, groups, series, percent = false }: Bars): string {
  const names = legend(
    series.map(({ name }) => name),
    28,
  )
  const top = 38 + names.height
  return draw(top + 38 + groups.length * (percent ? 22 : 12 + 11 * series.length), {
    ...heading(title, ''),
    graphic: names.graphic,
    grid: { left: percent ? 100 : 250, right: 40, top, bottom: 28 },
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
