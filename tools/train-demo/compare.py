"""Muon against AdamW: the same model, data and steps, and a picture of the two loss curves.

    /usr/bin/python3 compare.py OUT_DIR [--steps 300] [--muon 0.003] [--adamw 0.001 0.003]

Each rate is a run of train.py in OUT_DIR, with one process, resumed if it stopped; the picture is OUT_DIR/curves.svg.
"""
import argparse
import csv
import pathlib
import subprocess
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 56, 20, 16, 44
COLORS = ["#1f6feb", "#8250df", "#d1541d", "#b58900", "#2da44e"]


def read_losses(path):
    with open(path, newline="") as f:
        return [(int(row[0]), float(row[3])) for row in csv.reader(f)]


def smooth(points, keep=0.9):
    """An average that forgets, without the pull of its start."""
    out, mean, weight = [], 0.0, 0.0
    for step, loss in points:
        mean, weight = keep * mean + (1 - keep) * loss, keep * weight + 1 - keep
        out.append((step, mean / weight))
    return out


def line(points, to_x, to_y, color, width):
    path = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in points)
    return f'<polyline fill="none" stroke="{color}" stroke-width="{width}" points="{path}"/>'


def text(x, y, words, anchor="middle", color="#333"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}">{words}</text>'


def picture(curves):
    """{name: [(step, loss)]} -> SVG."""
    last = max(points[-1][0] for points in curves.values())
    top = max(loss for points in curves.values() for _, loss in points)

    def to_x(step):
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def to_y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for i in range(int(top) + 1):
        out.append(f'<path d="M{LEFT} {to_y(i):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>' + text(LEFT - 8, to_y(i) + 4, i, "end"))
    for i in range(5):
        out.append(text(to_x(last * i / 4), HEIGHT - BOTTOM + 18, round(last * i / 4)))
    out.append(text(WIDTH / 2, HEIGHT - 8, "step") + text(14, TOP - 6, "loss of what the model writes", "start"))
    for i, (name, points) in enumerate(curves.items()):
        soft, color = smooth(points), COLORS[i % len(COLORS)]
        out.append(line(points, to_x, to_y, color + "40", 1) + line(soft, to_x, to_y, color, 2))
        out.append(text(WIDTH - RIGHT - 8, TOP + 16 + 18 * i, f"{name}: {soft[-1][1]:.3f}", "end", color))
    return "\n".join(out) + "\n</svg>\n"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--muon", type=float, nargs="*", default=[3e-3], help="learning rates")
    p.add_argument("--adamw", type=float, nargs="*", default=[1e-3, 3e-3], help="learning rates")
    args = p.parse_args()
    curves = {}
    for optimizer in ("muon", "adamw"):
        for lr in getattr(args, optimizer):
            run = args.out / f"{optimizer}-{lr:g}"
            command = [sys.executable, pathlib.Path(__file__).with_name("train.py"), run, "--steps", args.steps,
                       "--optimizer", optimizer, "--lr", lr, "--exam-every", 0, "--processes", 1]
            subprocess.run(list(map(str, command)), check=True)
            curves[f"{optimizer} {lr:g}"] = read_losses(run / "log.csv")
    (args.out / "curves.svg").write_text(picture(curves))
    for name, points in curves.items():
        print(f"{name}: loss {smooth(points)[-1][1]:.4f} after {points[-1][0]} steps")


if __name__ == "__main__":
    main()
