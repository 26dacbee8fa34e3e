"""The face: ARKit expressions, landmark index sets, the 3D head basis, tracked motion."""
