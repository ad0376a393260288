using System.Runtime.InteropServices;

namespace IlgpuLoader.Loading;

/// <summary>Lets the threads of lanes step back behind the process's others, which answer requests meanwhile.</summary>
internal static partial class LanePriority
{
    // setpriority(2): on Linux the calling thread's alone where neither a process nor a thread is named.
    private const int OfProcess = 0;
    private const int Caller = 0;

    // A tenth of the weight of a thread that has not stepped back (sched(7), "The nice value"): lanes get all that is left, and others run as soon as they have something to do.
    private const int Behind = 10;

    /// <summary>Lowers the calling thread's priority for good. Where the system has none, or refuses, it stays as it is: then requests wait longer, and all is right.</summary>
    public static void StepBack()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = SetPriority(OfProcess, Caller, Behind);
        }
        else
        {
            Thread.CurrentThread.Priority = ThreadPriority.BelowNormal;
        }
    }

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = false)]
    private static partial int SetPriority(int which, int who, int priority);
}
