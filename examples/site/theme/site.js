// @ts-nocheck: this runs in a browser, the types around it are Node's.
//
// The front page's search box hides what does not match. Without this script the list is simply whole.
const box = document.querySelector('input[type=search]')
const items = [...document.querySelectorAll('.pages li')]
const words = items.map((item) => item.textContent.toLowerCase())

if (box) {
  box.hidden = false
  box.addEventListener('input', () => {
    const wanted = box.value.toLowerCase().split(/\s+/)
    items.forEach((item, i) => {
      item.hidden = !wanted.every((word) => words[i].includes(word))
    })
  })
}
