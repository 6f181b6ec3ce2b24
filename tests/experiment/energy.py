"""energy: what the link's and the device's counts cost a battery. Marginal energy: what traffic adds; sleep, idle listening and the application
are left out, being the same in every row. Sources of the constants: docs/experiment/README.md, "The account"."""
from typing import NamedTuple

MESSAGE_1_SHARE = 0.75  # of an EDHOC side's work: three of four scalar multiplications (method 3; assumed)
BATTERY = 225e-3 * 3600 * 3 * 0.88  # J of a CR2032 that can be used
LIFE = 5 * 365.25 * 86400  # s, for which it is made
DAYS = LIFE / 86400
LIFE_POWER = BATTERY / LIFE  # W: 13.5 µW


class Constants(NamedTuple):
    p_rx: float  # W
    p_tx: float
    p_cpu: float
    t_wake: float  # s of listening for each frame beyond its air time (assumed)
    t_dgram: float  # s of CPU for each datagram (assumed)
    t_aead: float  # s for one OSCORE AEAD of 20 bytes
    t_edhoc: float  # s for one side
    e_edhoc: float  # J for one side


def _constants(v, rx, tx, cpu, t_wake, t_dgram, t_aead, t_edhoc, e_edhoc=None):
    return Constants(v * rx, v * tx, v * cpu, t_wake, t_dgram, t_aead, t_edhoc, e_edhoc or v * cpu * t_edhoc)


NRF52840 = _constants(3, 6.5e-3, 7.1e-3, 3.3e-3, 1e-3, 0.5e-3, 1.80e-3, 0.8615)
CC2538 = _constants(3, 20e-3, 24e-3, 13e-3, 1e-3, 1e-3, 3.6e-3, 1.72)
PAPER = NRF52840._replace(e_edhoc=43e-3)
DEVICES = {"nRF52840": NRF52840, "CC2538": CC2538, "paper": PAPER}


def joules(radio, mote, seconds, k=NRF52840):
    """radio, mote: what their counters grew by in these seconds."""
    air = (radio["device_rx_us"] * k.p_rx + radio["device_tx_us"] * k.p_tx) / 1e6 + radio["device_frames"] * k.t_wake * k.p_rx
    cpu = (mote.get("datagrams", 0) * k.t_dgram + mote.get("aead", 0) * k.t_aead) * k.p_cpu
    most = seconds / (MESSAGE_1_SHARE * k.t_edhoc)  # a busy CPU cannot spend more
    exchanges = min(mote.get("message_1", 0), most) * MESSAGE_1_SHARE + mote.get("message_3", 0) * (1 - MESSAGE_1_SHARE)
    return {"radio": air, "cpu": cpu, "edhoc": exchanges * k.e_edhoc, "all": air + cpu + exchanges * k.e_edhoc}


def milliwatts(radio, mote, seconds, k=NRF52840):
    return 1e3 * joules(radio, mote, seconds, k)["all"] / seconds


def days_per_hour(mw):
    """Days of the five years that an hour at this power takes."""
    return mw / 1e3 * 3600 / BATTERY * DAYS
