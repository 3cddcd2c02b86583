"""loam serve against OpenAI's Node client, installed by npm into build-clients/node. 77: cannot be tested here."""
import os, shutil, subprocess, sys

from test_openai import MODEL, Server

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build-clients", "node")

if not os.path.exists(MODEL):
    print(f"skipped: no model at '{MODEL}'; set LOAM_TEST_DATA")
    sys.exit(77)
if not os.path.exists(os.path.join(FOLDER, "node_modules", "openai")):
    os.makedirs(FOLDER, exist_ok=True)
    install = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", FOLDER, "openai@6"]
    if not shutil.which("npm") or subprocess.run(install).returncode != 0:
        print("skipped: OpenAI's Node client cannot be installed here (npm or its registry out of reach)")
        sys.exit(77)
shutil.copy(os.path.join(HERE, "openai_node.mjs"), FOLDER)
server = Server()
code = subprocess.run(["node", "openai_node.mjs", str(server.port)], cwd=FOLDER, timeout=120).returncode
stopped = server.stop()
sys.exit(code or stopped)
