from services.commands import run_main
from stage_engine.service import main
from stage_engine.settings import EngineSettings

run_main(EngineSettings, main, service="stage-engine")
