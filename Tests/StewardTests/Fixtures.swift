import Glibc
import Steward
import Vitals

/// SplitMix64 (Steele, Lea, Flood 2014): the same sequence for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    /// A seed of chance, or the one in the environment: `VITALGATE_SEED=123 make test` runs a failure again.
    init(_ property: String) {
        let given = getenv("VITALGATE_SEED").flatMap { UInt64(String(cString: $0)) }
        self.init(seed: given ?? UInt64.random(in: .min ... .max))
        print("\(property): VITALGATE_SEED=\(seed)")
    }

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Central European time by the rule in force since 1996: summer time from the last Sunday of March to that of October, both at
/// 01:00 UTC.
struct Copenhagen: Zone {
    func offsetMinutes(at instant: Instant) -> Int {
        let year = LocalDateTime(secondsSince1970: instant.milliseconds / 1_000).year
        return instant >= Self.change(3, year) && instant < Self.change(10, year) ? 120 : 60
    }

    private static func change(_ month: Int, _ year: Int) -> Instant {
        let last = LocalDateTime(year: year, month: month, day: 31, hour: 1, minute: 0, second: 0).secondsSince1970
        // 1970-01-01 was a Thursday: days since then plus 4, modulo 7, counts from Sunday.
        return Instant(seconds: last - ((last / 86_400 + 4) % 7) * 86_400)
    }
}

func utc(_ text: String) -> Instant { Instant(iso8601: text + "Z") ?? Instant(seconds: 0) }
func face(_ text: String) -> LocalDateTime {
    LocalDateTime(text) ?? LocalDateTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0)
}

func look(
    _ wall: Instant, monotonic: Int64? = nil, boot: String = "boot-a", source: ClockSource = .ntp, zone: some Zone = Copenhagen()
) -> ClockReading {
    ClockReading(
        wall: wall, offsetMinutes: zone.offsetMinutes(at: wall),
        monotonic: MonotonicTime(milliseconds: monotonic ?? (wall.milliseconds - 1_700_000_000_000)),
        boot: BootID(rawValue: boot),
        source: source)
}

func look(_ wall: String, source: ClockSource = .ntp) -> ClockReading { look(utc(wall), source: source) }

let cuff = DeviceKey(rawValue: "serial-4006b7c50d6512bfc942098f736401ce")

func record(
    _ bytes: [UInt8] = [0x00, 0x7F, 0x00, 0x4F, 0x00, 0x00, 0x00], stamp: LocalDateTime? = nil, user: Int? = nil,
    distinguishes: Bool = true, isUnset: Bool = false, offset: Int? = nil, kind: Measurement.Kind = .bloodPressure,
    status: Set<StatusFlag> = [], statusBits: UInt32? = nil, quantities: [Quantity] = []
) -> Measurement {
    Measurement(
        kind: kind, quantities: quantities, deviceTime: stamp, timeOffsetMinutes: offset, userIndex: user,
        statusBits: statusBits, status: status, isDeviceClockUnset: isUnset,
        projection: StoredProjection(codec: "2a35/1", bytes: bytes, distinguishes: distinguishes))
}

func assignment(
    _ id: Int64, _ patient: String, user: Int? = nil, from: String, until: String? = nil
) -> Assignment {
    Assignment(
        id: id, device: 1, userIndex: user, patient: PatientAlias(rawValue: patient), from: utc(from),
        until: until.map(utc), recipients: [])
}
