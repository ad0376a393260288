using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>
/// A reader's hold on a model, or on a layer of it: as long as it is there, its tensors are neither freed nor written. Ended by disposing it, or by <see cref="EndBehind"/> where a device still works with
/// the tensors; a lease that is never ended keeps the model's memory. Safe for any thread; its user sees to it that no thread reads on after the end.
/// </summary>
public interface IModelLease : IDisposable
{
    /// <summary>The model's name.</summary>
    string Model { get; }

    /// <summary>The version of the model that the tensors are of (<see cref="ModelStatus.Version"/>).</summary>
    long Version { get; }

    /// <summary>The names of the tensors, in the model's order.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>A tensor by its full name; it stays the model's.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="TensorNotFoundException">There is none of that name; the exception has the nearest.</exception>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    Tensor this[string name] { get; }

    /// <summary>Finds a tensor by its full name; it stays the model's.</summary>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    bool TryGetTensor(string name, [NotNullWhen(true)] out Tensor? tensor);

    /// <summary>Ends the lease for the caller; for the model it is over as soon as the device has passed the fence.</summary>
    /// <param name="fence">A fence recorded behind the work that reads the tensors.</param>
    /// <exception cref="ObjectDisposedException">The lease has ended.</exception>
    void EndBehind(Fence fence);
}
