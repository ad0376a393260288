using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The dtype of parameters that are made without saying which: F32, or what a scope says. The counterpart of vLLM's <c>set_default_torch_dtype</c>. Flows with async methods to all that they call;
/// what another flow sets is not seen here.
/// </summary>
public static class DefaultDType
{
    private static readonly AsyncLocal<DType?> Scoped = new();

    /// <summary>The dtype here and now.</summary>
    public static DType Current => Scoped.Value ?? DType.F32;

    /// <summary>Sets the dtype until the scope is disposed: <c>using (DefaultDType.Use(DType.BF16))</c>. Then the one before counts again, also where an exception ends the scope.</summary>
    /// <param name="dtype">A floating-point type that values are converted to (<see cref="Codecs.Targets"/>).</param>
    /// <exception cref="ArgumentException">It is another type.</exception>
    public static IDisposable Use(DType dtype)
    {
        if (!Codecs.Targets.Contains(dtype))
        {
            throw new ArgumentException(
                $"{dtype.Name} cannot be the default: only {string.Join(", ", Codecs.Targets.Select(target => target.Name))} can.", nameof(dtype));
        }

        var scope = new Scope(Scoped.Value);
        Scoped.Value = dtype;
        return scope;
    }

    private sealed class Scope(DType? before) : IDisposable
    {
        private bool _disposed;

        public void Dispose()
        {
            if (!_disposed)
            {
                _disposed = true;
                Scoped.Value = before;
            }
        }
    }
}
