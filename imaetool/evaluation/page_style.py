"""The style sheet of a report."""

__all__ = ["STYLE"]

STYLE = """
:root { --ink: #1c2126; --quiet: #66707a; --rule: #e2e4de; --paper: #fbfaf6; --card: #fff; --accent: #0f766e; --tint: #e3f0ed; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 28px 60px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.01em; margin: 4px 0 18px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 14px; font-weight: 650; }
h2.model { font-size: 24px; margin: 44px 0 6px; padding-top: 18px; border-top: 3px solid var(--accent); overflow-wrap: anywhere; }
.mark { margin: 0; color: var(--accent); font-weight: 600; font-size: 13px; letter-spacing: .04em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; font-size: 13px; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 26px 0 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 14px; display: flex; flex-direction: column; }
.tile b { font-size: 24px; font-weight: 650; color: var(--accent); font-variant-numeric: tabular-nums; }
.tile span { font-size: 13px; } .tile i { font-style: normal; font-size: 12px; color: var(--quiet); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px 22px; margin-top: 22px; }
section p { color: var(--quiet); font-size: 13px; margin: 12px 0 0; max-width: 78ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th { text-align: left; font-weight: 600; white-space: nowrap; } thead th { color: var(--quiet); font-weight: 500; font-size: 12px; border-bottom: 1px solid var(--ink); }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
th.n { text-align: right; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.how { color: var(--quiet); font-size: 12px; min-width: 200px; } td.quiet, small { color: var(--quiet); } td.best { background: var(--tint); }
table.units td { vertical-align: middle; } table.units th { font-weight: 600; }
sup { color: var(--accent); font-weight: 500; padding-left: 2px; }
.bar { width: 180px; height: 10px; border-radius: 5px; background: #f0f1ec; overflow: hidden; } .bar span { display: block; height: 100%; background: var(--accent); }
details { margin-top: 14px; font-size: 13px; color: var(--quiet); } summary { cursor: pointer; color: var(--ink); }
ol, ul { margin: 8px 0 0; padding-left: 24px; } li { margin: 2px 0; }
img { display: block; max-width: 100%; height: auto; } .plot { display: block; max-width: none; font-family: inherit; }
.pair { display: flex; flex-wrap: wrap; gap: 34px; } figure { margin: 0; } figcaption { font-size: 13px; margin-bottom: 8px; }
footer { color: var(--quiet); font-size: 12px; margin-top: 28px; }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
"""
