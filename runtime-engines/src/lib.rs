//! The pure engines of Podwarden behind one trait: signatures in the Falco rule language.
