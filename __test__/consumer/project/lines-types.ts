// Compiled, never run: the names that are about lines, used as a user would, and misused where it says so.
import {
  type AppendLinesOptions,
  type AppendResult,
  appendLines,
  type ReadLinesOptions,
  readLines,
  type SkippedLine,
  type TornLine,
} from '@pipeline/atomic'

export async function lines(): Promise<TornLine | undefined> {
  const options: AppendLinesOptions = { rotate: { size: 1e6, keep: 3 }, timeout: 1000, network: 'allow' }
  const { torn }: AppendResult = await appendLines('a.log', 'line', { ...options, json: false })
  await appendLines('a.jsonl', new Set([{ n: 1 }]), { ...options, json: true })
  const onTorn = ({ line, reason }: SkippedLine) => console.log(line, reason)
  const reading: ReadLinesOptions = { onTorn }
  for await (const line of readLines('a.log', { ...reading, json: false })) console.log(line.length)
  for await (const { n } of readLines<{ n: number }>('a.jsonl', { onTorn, json: true })) console.log(n + 1)
  // @ts-expect-error: a value needs { json: true }
  void appendLines('a.jsonl', [{ n: 1 }])
  // @ts-expect-error: a line is a string
  void appendLines('a.log', 1)
  return torn
}
