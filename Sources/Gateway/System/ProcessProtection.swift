import CLinux
import Glibc

/// No memory of this process reaches a disk or another process (R8: no core dumps).
public enum ProcessProtection {
    /// - Returns: whether both took hold; the unit's `LimitCORE=0` stands behind it.
    @discardableResult
    public static func engage() -> Bool {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        let limited = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0
        // A crash handler that takes dumps through a pipe ignores the limit, but not this (core(5)); nor may others of the same user attach.
        return vitalgate_set_undumpable() == 0 && limited
    }
}
