// Single-key shortcuts. They keep quiet while one writes, while a dialog is open, and beside Ctrl, Alt and Meta.

const WRITES = 'input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]'

/** Call `acts[key]` when that key is pressed, until the returned function is called. */
export function keys(acts: Record<string, () => unknown>): () => void {
  const press = (event: KeyboardEvent): void => {
    const on = event.target instanceof Element ? event.target : null
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || on?.closest(WRITES) || document.querySelector('dialog[open]')) return
    const takesItself = (event.key === ' ' && on?.closest('button, a, summary, input')) || (event.key.startsWith('Arrow') && on?.closest('input, canvas'))
    const act = acts[event.key]
    if (!act || takesItself) return
    event.preventDefault()
    act()
  }
  addEventListener('keydown', press)
  return () => removeEventListener('keydown', press)
}
