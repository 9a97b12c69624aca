// The chart of a section: a line a case, a coloured dot a contender, on a logarithmic axis of ratios to the subject.

import { ratioOf } from '../measure/ratio'
import type { Case } from '../measure/rounds'
import { axis, colorOf, draw, FAINT, heading, INK, legend, lineAtOne, text, WIDTH } from './drawing'

/** Where the lines begin, right of their titles. */
const LEFT = 216
const RIGHT = 24
const LINE = 50

/** What echarts hands to a function that draws an item itself. */
interface DrawingApi {
  value(dimension: number): number
  coord(point: [number, number]): [number, number]
  visual(what: 'color'): string
}

/** Ratio, height, and the quartiles. */
type Point = [value: number, line: number, low: number, high: number]

export function ratioChart(title: string, cases: Case[], of: 'wall' | 'jsThread'): string {
  const subject = cases[0]?.figures[0].contender.name ?? ''
  const contenders = [
    ...new Set(cases.flatMap(({ figures }) => figures.slice(1).map((one) => one.contender.name))),
  ]
    .map((name) => ({ name, points: pointsOf(name, cases, of) }))
    .filter(({ points }) => points.length > 0)
  const names = legend(
    contenders.map(({ name }) => name),
    44,
  )
  const top = 56 + names.height
  return draw(top + LINE * cases.length + 34, {
    ...heading(title, `times as long as ${subject}: right of 1 is slower than it, whiskers are quartiles`),
    graphic: names.graphic,
    grid: { left: LEFT, right: RIGHT, top, bottom: 34 },
    xAxis: {
      type: 'log',
      ...axis,
      axisLabel: { ...text, formatter: (value: number) => `${Number(value.toPrecision(3))}×` },
    },
    yAxis: {
      type: 'value',
      inverse: true,
      min: -0.5,
      max: cases.length - 0.5,
      ...axis,
      splitLine: { show: false },
      axisLabel: { show: false },
    },
    series: [
      lines(cases.map((one) => one.title)),
      ...contenders.flatMap(({ name, points }, index) => {
        // Side by side within the line, so that equal figures do not hide each other.
        const shift = ((index + 0.5) / contenders.length - 0.5) * 0.76
        const data = points.map(([value, line, low, high]) => [value, line + shift, low, high])
        const style = { name, data, itemStyle: { color: colorOf(index) } }
        return [
          { ...style, type: 'custom', renderItem: whisker, encode: { x: [2, 3], y: 1 } },
          { ...style, type: 'scatter', symbolSize: 9, itemStyle: { color: colorOf(index), opacity: 1 } },
        ]
      }),
    ],
  })
}

function pointsOf(name: string, cases: Case[], of: 'wall' | 'jsThread'): Point[] {
  return cases.flatMap(({ figures }, line): Point[] => {
    const rival = figures.find(({ contender }) => contender.name === name)
    if (!rival || rival === figures[0]) return []
    const { value, low, high } = ratioOf(
      rival.rounds.map((cost) => cost[of]),
      figures[0].rounds.map((cost) => cost[of]),
    )
    return value > 0 ? [[value, line, low, high]] : []
  })
}

/** The cases' titles, a line above each, and the line at 1. */
function lines(titles: string[]) {
  return {
    type: 'custom',
    silent: true,
    data: titles.map((_, line) => [1, line]),
    markLine: lineAtOne,
    renderItem: (_: unknown, api: DrawingApi) => {
      const line = api.value(1)
      const [, y] = api.coord([1, line])
      const [, top] = api.coord([1, line - 0.5])
      const style = { fill: INK, font: `12px ${text.fontFamily}`, align: 'right', verticalAlign: 'middle' }
      return {
        type: 'group',
        children: [
          {
            type: 'text',
            style: { ...style, text: titles[line], x: LEFT - 12, y, width: LEFT - 16, overflow: 'break' },
          },
          {
            type: 'line',
            shape: { x1: 0, x2: WIDTH - RIGHT, y1: top, y2: top },
            style: { stroke: FAINT, lineWidth: 1 },
          },
        ],
      }
    },
  }
}

function whisker(_: unknown, api: DrawingApi) {
  const [x1, y] = api.coord([api.value(2), api.value(1)])
  const [x2] = api.coord([api.value(3), api.value(1)])
  const style = { stroke: api.visual('color'), lineWidth: 1.5 }
  return { type: 'line', shape: { x1, x2, y1: y, y2: y }, style }
}
