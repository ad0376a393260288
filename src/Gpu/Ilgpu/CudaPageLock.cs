using ILGPU.Runtime.Cuda;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Pages of the host that CUDA has locked. Not ILGPU's own scope: that one locks them in whatever context the thread has, and where the driver
/// refuses leaves a finaliser behind, which later unlocks what somebody else has locked at that address.
/// </summary>
internal sealed class CudaPageLock : IDisposable
{
    private readonly CudaAccelerator _accelerator;
    private readonly nint _address;

    /// <summary>Locks pages.</summary>
    /// <exception cref="ILGPU.Runtime.AcceleratorException">The driver refused; nothing is locked.</exception>
    public CudaPageLock(CudaAccelerator accelerator, nint address, long bytes)
    {
        _accelerator = accelerator;
        _address = address;
        var isLocked = false;
        try
        {
            using var binding = accelerator.BindScoped();
            // Portable: locked for every context, so that other members of a group copy from the same slots.
            CudaException.ThrowIfFailed(
                CudaAPI.CurrentAPI.MemHostRegister(address, (nint)bytes, MemHostRegisterFlags.CU_MEMHOSTREGISTER_PORTABLE));
            isLocked = true;
        }
        catch when (isLocked)
        {
            // The thread's own accelerator could not be made current again: nobody would unlock them.
            Dispose();
            throw;
        }
    }

    /// <summary>Unlocks them; called once, by the memory that has them.</summary>
    /// <remarks>
    /// Reports nothing: the driver fails here where work on the device had failed, which whoever waited for it was told, and the pages
    /// are to be freed in any case. A context that has ended has unlocked them itself.
    /// </remarks>
    public void Dispose()
    {
        if (!_accelerator.IsDisposed)
        {
            IlgpuErrors.Release(() =>
            {
                using var binding = _accelerator.BindScoped();
                _ = CudaAPI.CurrentAPI.MemHostUnregister(_address);
            });
        }
    }
}
