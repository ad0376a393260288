using System.Collections.Immutable;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <summary>
/// One kind of driver and the context over it, which lives as long as the process: the devices opened by their id share it. Each has one of
/// its own, so that a driver which fails takes no other with it.
/// </summary>
internal sealed class IlgpuBackend
{
    private readonly string _name;
    private readonly string _prefix;
    private readonly AcceleratorType _type;
    private readonly Func<int, string?> _whyFewer;
    private readonly Lazy<(Context? Context, string? Problem)> _context;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, IlgpuDevice> _opened = [];

    /// <summary>Makes a kind of driver.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="prefix">What its devices' ids begin with.</param>
    /// <param name="type">What its devices are; a context in which none was found has a simulator instead.</param>
    /// <param name="library">The library that it needs, or null for none.</param>
    /// <param name="addDevices">Adds its devices to a context.</param>
    /// <param name="whyFewer">Says what the driver reports of devices that are not among the listed ones, by their number.</param>
    internal IlgpuBackend(string name, string prefix, AcceleratorType type, string? library, Action<Context.Builder> addDevices, Func<int, string?> whyFewer)
    {
        _name = name;
        _prefix = prefix;
        _type = type;
        _whyFewer = whyFewer;
        _context = new(() => library is null || IlgpuLibraries.IsPresent(library) ? CreateContext(addDevices) : (null, null));
    }

    /// <summary>CUDA's.</summary>
    public static IlgpuBackend Cuda { get; } = new("CUDA", "cuda", AcceleratorType.Cuda, IlgpuLibraries.Cuda, builder => builder.Cuda(_ => true), CudaDriver.WhyFewer);

    /// <summary>All kinds, the best first.</summary>
    public static ImmutableArray<IlgpuBackend> All { get; } =
    [
        // Every device is listed, also one that lacks what ILGPU needs: the listing is where people look for why.
        Cuda,
        new("OpenCL", "opencl", AcceleratorType.OpenCL, IlgpuLibraries.OpenCL, builder => builder.OpenCL(_ => true), OpenCLDriver.WhyFewer),
    ];

    /// <summary>What the driver reported instead of devices, or of some of them; null where nothing went wrong.</summary>
    public string? Problem => _context.Value.Problem;

    private ImmutableArray<ILGPU.Runtime.Device> Devices => _context.Value.Context is { } context ? DevicesOf(context) : [];

    /// <summary>Describes the devices; none is opened.</summary>
    public IEnumerable<DeviceDescription> Describe() => Devices.Select((device, i) => device switch
    {
        CudaDevice cuda => new DeviceDescription($"{_prefix}:{i}", DeviceKind.Cuda, cuda.Name, cuda.MemorySize, FreeMemoryOf(i), WhyUnusable(cuda))
        {
            Driver = $"CUDA {cuda.DriverVersion}",
            InstructionSet = cuda.InstructionSet is { } instructions ? $"PTX ISA {instructions} for {cuda.Architecture}" : null,
        },
        CLDevice openCl => new DeviceDescription($"{_prefix}:{i}", DeviceKind.OpenCL, openCl.Name, openCl.MemorySize, FreeMemoryOf(i), WhyUnusable(openCl))
        {
            Driver = string.Join(", ", [openCl.PlatformName, .. OpenCLDriver.VersionOf(openCl), $"OpenCL {openCl.DeviceVersion}"]),
            InstructionSet = $"OpenCL C {openCl.CLStdVersion.Major}.{openCl.CLStdVersion.Minor}",
        },
        _ => throw new InvalidOperationException($"{device} is neither of CUDA nor of OpenCL."),
    });

    /// <summary>Opens a device by its id; the same one each time.</summary>
    /// <returns>The device, or null where the id is not one of this kind or the device is not usable.</returns>
    public IlgpuDevice? Open(string id)
    {
        var devices = id.StartsWith(_prefix + ":", StringComparison.Ordinal) ? Devices : [];
        for (var i = 0; i < devices.Length; i++)
        {
            if (id == $"{_prefix}:{i}" && WhyUnusable(devices[i]) is null)
            {
                return Open(i, devices[i]);
            }
        }

        return null;
    }

    /// <summary>Opens the first usable device.</summary>
    /// <param name="problems">Receives why those before it, or all, are not usable, and what the driver reported.</param>
    /// <returns>The device, or null where there is none.</returns>
    /// <exception cref="DeviceUnavailableException">There are usable ones, and none could be opened; says why of the first.</exception>
    public IlgpuDevice? OpenFirst(ICollection<string> problems)
    {
        if (Problem is { } problem)
        {
            problems.Add(problem);
        }

        DeviceUnavailableException? failure = null;
        var devices = Devices;
        for (var i = 0; i < devices.Length; i++)
        {
            if (WhyUnusable(devices[i]) is { } reason)
            {
                problems.Add($"{_prefix}:{i} ({devices[i].Name}) is not usable: {reason}.");
                continue;
            }

            try
            {
                return Open(i, devices[i]);
            }
            catch (DeviceUnavailableException exception)
            {
                problems.Add(exception.Message);
                failure ??= exception;
            }
        }

        return failure is null ? null : throw failure;
    }

    private static string? WhyUnusable(ILGPU.Runtime.Device device) => device switch
    {
        CudaDevice { InstructionSet: null } cuda =>
            $"its driver (CUDA {cuda.DriverVersion}) is older than what ILGPU needs for {cuda.Architecture}; install a newer one",
        CLDevice { Capabilities.GenericAddressSpace: false } openCl =>
            $"its driver (OpenCL {openCl.DeviceVersion}) does not offer the generic address space, which ILGPU needs and which is optional since OpenCL 3.0",
        _ => null,
    };

    private ImmutableArray<ILGPU.Runtime.Device> DevicesOf(Context context) => [.. context.Devices.Where(device => device.AcceleratorType == _type)];

    private IlgpuDevice Open(int index, ILGPU.Runtime.Device device)
    {
        lock (_lock)
        {
            if (_opened.TryGetValue(index, out var opened) && !opened.IsDisposed)
            {
                return opened;
            }

            var id = $"{_prefix}:{index}";
            try
            {
                // What somebody has disposed is made anew, over the same accelerator: opening another takes memory again.
                var accelerator = opened is { Accelerator.IsDisposed: false } ? opened.Accelerator : device.CreateAccelerator(_context.Value.Context!);
                opened = IlgpuDevice.Create(accelerator, null, id);
            }
            catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsOfCompiler(exception) || exception is NotSupportedException)
            {
                throw new DeviceUnavailableException(id, $"{id} ({device.Name}) cannot be opened: {IlgpuErrors.Describe(exception)}.");
            }

            _opened[index] = opened;
            return opened;
        }
    }

    // Only an opened device can be asked, and opening one takes hundreds of MiB of it, and a part of a second.
    private long? FreeMemoryOf(int index)
    {
        lock (_lock)
        {
            return _opened.TryGetValue(index, out var device) && device is { Kind: DeviceKind.Cuda, IsDisposed: false } ? IlgpuErrors.FreeMemoryOf(device) : null;
        }
    }

    // ILGPU hides what a driver reports: it is asked once more. A driver that does not answer takes nothing from the devices that are there.
    private string? WhyFewer(Context context)
    {
        try
        {
            return _whyFewer(DevicesOf(context).Length);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            return $"{_name}: the driver could not be asked for its devices: {exception.Message}";
        }
    }

    private (Context? Context, string? Problem) CreateContext(Action<Context.Builder> addDevices)
    {
        IlgpuLibraries.Resolve();
        try
        {
            var context = Context.Create(builder =>
            {
                builder.Optimize(OptimizationLevel.O2);
                addDevices(builder);
            });
            return (context, WhyFewer(context));
        }
        catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception)
            || exception is NotSupportedException or InvalidOperationException or DllNotFoundException or EntryPointNotFoundException)
        {
            return (null, $"{_name}: the driver is there and failed: {IlgpuErrors.Describe(exception)}.");
        }
    }
}
