using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// Gets memory for what is measured next. A virtual machine's host takes back memory that has been free for seconds, and gives it again page by page, with the processors stopped meanwhile: a load of 4 GiB took ten times as long. What is
/// got by this process and freed at once is the machine's for the next second or two, whoever takes it.
/// </summary>
internal static class MachineMemory
{
    /// <summary>Gets as many bytes as will be taken.</summary>
    public static void Get(long bytes, CancellationToken cancellationToken) => _ = MemoryYardsticks.FirstTouch(bytes, Environment.ProcessorCount, bytes, cancellationToken);
}
